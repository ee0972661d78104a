"""Hooks that wait for nothing, and servers that answer with exactly what they are given."""

from __future__ import annotations

from support.servers import certificate, client, connected, connected_client, hook, serve, tls, waits

__all__ = ["certificate", "client", "connected", "connected_client", "hook", "serve", "tls", "waits"]
