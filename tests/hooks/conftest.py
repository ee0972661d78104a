"""Hooks that wait for nothing, and servers that say exactly what they are told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from airflow_provider_lofty.hooks.lofty import LoftyHook

from .raw_server import RawServer, Script, answering


@pytest.fixture
def serve() -> Iterator[Callable[..., RawServer]]:
    """Give a function that starts a server with a script, or with whole answers."""
    servers: list[RawServer] = []

    def start(*scripts: Script | bytes) -> RawServer:
        script = (
            scripts[0] if callable(scripts[0]) else answering(*(each for each in scripts if isinstance(each, bytes)))
        )
        servers.append(RawServer(script))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def waits() -> list[float]:
    """How long the hook would have slept, each time."""
    return []


@pytest.fixture
def hook(waits: list[float]) -> Iterator[LoftyHook]:
    """Give a hook on ``lofty_default`` that does not sleep."""
    hook = LoftyHook(sleep=waits.append)
    yield hook
    hook.close()
