"""What one account's Lofty does: learned by first contact, played by the sandbox, heeded by a connection."""
