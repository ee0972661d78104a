"""Hooks that do not sleep, and servers that answer exactly what a test scripts."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.lofty.client import LoftyClient
from airflow_provider_lofty.sandbox import Sandbox
from support.raw_server import RawServer, Script, answering
from support.tls import make_certificate, server_side


@pytest.fixture
def serve(starts_server: None) -> Iterator[Callable[..., RawServer]]:
    """Return a function that starts a server with a script, or with whole answers."""
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
    """The seconds of each sleep that the hook asked for."""
    return []


@pytest.fixture
def hook(waits: list[float]) -> Iterator[LoftyHook]:
    """Make a hook on ``lofty_default`` that does not sleep."""
    hook = LoftyHook(sleep=waits.append)
    yield hook
    hook.close()


@pytest.fixture
def connected(lofty: Sandbox, connect: Callable[..., None], hook: LoftyHook) -> LoftyHook:
    """Make a hook on a practice Lofty."""
    connect(lofty)
    return hook


@pytest.fixture
def client(hook: LoftyHook) -> LoftyClient:
    """Give a client on ``lofty_default`` that does not sleep."""
    return hook.client


@pytest.fixture
def connected_client(connected: LoftyHook) -> LoftyClient:
    """Give a client on a practice Lofty."""
    return connected.client


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate and its key in one file."""
    return make_certificate(tmp_path_factory.mktemp("tls") / "certificate.pem")


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    """The context of a server with that certificate."""
    return server_side(certificate)
