"""What this account's Lofty does where no document says it: learned from one lead, in five posts and two minutes."""
