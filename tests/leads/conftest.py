"""A hook that waits for nothing."""

from __future__ import annotations

from support.servers import client, connected, connected_client, hook, waits

__all__ = ["client", "connected", "connected_client", "hook", "waits"]
