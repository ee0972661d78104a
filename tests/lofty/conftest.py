"""Hooks that wait for nothing, and servers that say exactly what they are told to."""

from __future__ import annotations

from support.servers import certificate, client, connected, connected_client, hook, serve, tls, waits

__all__ = ["certificate", "client", "connected", "connected_client", "hook", "serve", "tls", "waits"]
