"""
HTTP connections that know whether a request's first byte has left, and that keep a total deadline.

Exception types cannot tell "never sent" from "sent and lost": proxies and TLS raise the same classes before and
after. So the connection itself notes the moment at which the request line goes out, after TCP, proxy ``CONNECT``
and TLS. And since the timeout of requests is one for each read, it would wait without end for a server that answers a
byte at a time; here each read may only take what is left of the whole request's time.
"""

from __future__ import annotations

import io
import logging
import math
import socket
import ssl
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import LocationParseError

from airflow_provider_lofty.lofty.answers import Answer

_IDLE_SECONDS = 2.0  # a server may be closing an older connection at this very moment
_LONGEST_BODY = 4 * 2**20
_CHUNK = 2**16

# Kinds of failure that the type of an exception does not show; all others are named by that type.
NAME_NOT_FOUND = "host name not found"
NAME_INVALID = "invalid host name"
CERTIFICATE_OF_ANOTHER = "certificate for another host"
CERTIFICATE_NOT_VALID_NOW = "certificate not valid now"
PROXY_REFUSED = "refused by the proxy"
# OpenSSL's X509_V_ERR_… (its manual, X509_STORE_CTX_get_error)
_OF_ANOTHER = frozenset((62, 64))  # host name, IP address
_NOT_VALID_NOW = frozenset((9, 10))


class _ProxyRefusal(OSError):
    """A proxy answered CONNECT and did not connect."""


@dataclass
class _Exchange:
    """
    One request on its way, and whether its first byte has left.

    :param deadline: when it must be over, by the clock
    :param start_before: when its first byte must have left, by the clock
    """

    deadline: float
    start_before: float
    clock: Callable[[], float]
    started: bool = False

    def start(self) -> None:
        if self.clock() > self.start_before:
            raise TimeoutError("too late to begin")
        self.started = True

    def seconds_left(self) -> float:
        left = self.deadline - self.clock()
        if left <= 0:
            raise TimeoutError("the request's total time is up")
        return left


# The exchange of this thread; requests offers no other way to its connection.
_current: ContextVar[_Exchange | None] = ContextVar("exchange", default=None)


def _now() -> float:
    exchange = _current.get()
    return time.monotonic() if exchange is None else exchange.clock()


class _DeadlineReader(io.RawIOBase):
    """Reads a socket, each time for no longer than the exchange has left."""

    def __init__(self, sock: socket.socket, exchange: _Exchange) -> None:
        self._socket = sock
        self._exchange = exchange
        self._stream = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._socket.settimeout(self._exchange.seconds_left())
        count: int | None = self._stream.readinto(buffer)
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()


class _DeadlineResponse(HTTPResponse):
    def __init__(
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        exchange = _current.get()
        if exchange is not None:
            self.fp.close()
            self.fp = io.BufferedReader(_DeadlineReader(sock, exchange))


class _Watched(HTTPConnection):
    """Notes when a request starts, and when the connection was last used."""

    last_used = 0.0

    def putrequest(self, method: str, url: str, skip_host: bool = False, skip_accept_encoding: bool = False) -> None:
        if self.sock is None:
            self.connect()
        exchange = _current.get()
        if exchange is not None:
            self.sock.settimeout(exchange.seconds_left())
            exchange.start()
        super().putrequest(method, url, skip_host, skip_accept_encoding)

    def getresponse(self) -> Any:
        response = super().getresponse()
        self.last_used = _now()
        return response

    response_class = _DeadlineResponse


class _WatchedTLS(_Watched, HTTPSConnection):
    def _tunnel(self) -> None:
        try:
            super()._tunnel()
        except OSError as error:
            if type(error) is OSError:  # neither a time-out nor a reset: http.client raises it for the proxy's answer
                raise _ProxyRefusal from None
            raise


class _FreshPool(HTTPConnectionPool):
    """Reuses no connection that lay idle: closed here, it is opened anew through proxy and TLS."""

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection: Any = super()._get_conn(timeout)
        if not connection.is_closed and _now() - connection.last_used > _IDLE_SECONDS:
            connection.close()
        return connection


class _Pool(_FreshPool):
    ConnectionCls = _Watched


class _TLSPool(_FreshPool, HTTPSConnectionPool):
    ConnectionCls = _WatchedTLS


def _without_query(record: logging.LogRecord) -> bool:
    """Keep look-ups by address or number out of urllib3's debug lines."""
    if isinstance(record.args, tuple):
        record.args = tuple(arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args)
    return True


logging.getLogger("urllib3.connectionpool").addFilter(_without_query)

_POOLS = {"http": _Pool, "https": _TLSPool}


class _Adapter(HTTPAdapter):
    """Uses the connections above, through a proxy too, and never retries by itself."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


def new_session(connections: int) -> requests.Session:
    """
    Make a session on these connections.

    :param connections: how many requests may be in flight at once
    """
    session = requests.Session()
    adapter = _Adapter(pool_connections=2, pool_maxsize=connections, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def exchange(
    session: requests.Session,
    request: requests.PreparedRequest,
    timeout_seconds: float,
    start_before: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
) -> Answer:
    """
    Send one request and read its whole answer; whatever happens is reported in the :class:`Answer`.

    :param timeout_seconds: for everything from connecting to the last byte
    :param start_before: when the first byte must have left, by the clock; after that nothing is sent
    :param clock: monotonic seconds
    """
    current = _Exchange(clock() + timeout_seconds, start_before, clock)
    token = _current.set(current)
    settings: dict[str, Any] = {**session.merge_environment_settings(request.url, {}, True, True, None)}
    try:
        # Not session.send: it would take a redirect's Location apart, and fail when that is no URL.
        adapter = session.get_adapter(request.url or "")
        with adapter.send(request, timeout=timeout_seconds, **settings) as response:
            body = _read(response)
    except (requests.RequestException, OSError, ValueError) as error:  # ValueError: a host name that cannot be one
        return Answer(None, sent=current.started, failure=_cause(error))
    finally:
        _current.reset(token)
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, body)


def _read(response: requests.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > _LONGEST_BODY:
            raise OSError("the answer is too long")
    return bytes(body)


def as_response(answer: Answer) -> requests.Response:
    """Make what requests would have returned, of status and body only, for libraries that need it."""
    response = requests.Response()
    response.status_code = answer.status or 0
    response._content = answer.body
    return response


def _cause(error: BaseException) -> str:
    """Name the innermost cause by its type; messages may hold the URL, and with it a person's address."""
    while not isinstance(error, _ProxyRefusal) and (inner := _inner(error)) is not None:
        error = inner
    if isinstance(error, _ProxyRefusal):
        return PROXY_REFUSED
    if isinstance(error, socket.gaierror):
        return NAME_NOT_FOUND
    if isinstance(error, (UnicodeError, LocationParseError)):  # of IDNA, where each Python raises another subclass
        return NAME_INVALID
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _OF_ANOTHER:
        return CERTIFICATE_OF_ANOTHER
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _NOT_VALID_NOW:
        return CERTIFICATE_NOT_VALID_NOW
    return type(error).__name__


def _inner(error: BaseException) -> BaseException | None:
    wrapped = next((arg for arg in error.args if isinstance(arg, BaseException)), None)  # how urllib3 chains TLS errors
    return error.__cause__ or error.__context__ or wrapped
