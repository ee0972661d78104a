"""
HTTP connections that know whether a request's first byte has left, that keep a total deadline, and that pass no answer
on to another request.

Exception types cannot tell "never sent" from "sent and lost": proxies and TLS raise the same classes before and
after. So the connection itself notes the moment at which the request line goes out, after TCP, proxy ``CONNECT``
and TLS. And since the timeout of requests is one for each read, it would wait without end for a server that answers a
byte at a time; here each read may only take what is left of the whole request's time.

HTTP/1.1 tells which answer belongs to which request by their order alone. So nothing may lie on a connection when a
request goes out on it, interim answers (1xx) are passed over, and a connection is used again only after an answer that
ended where it should and was believed.
"""

from __future__ import annotations

import io
import logging
import socket
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, partial
from http.client import SWITCHING_PROTOCOLS, HTTPResponse, parse_headers
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, LocationParseError

from airflow_provider_lofty.clock import Lapse, boot_seconds
from airflow_provider_lofty.lofty.answers import Answer, Meaning, Posted
from airflow_provider_lofty.lofty.bodies import LONGEST_BODY, decoded
from airflow_provider_lofty.lofty.errors import origin_of
from airflow_provider_lofty.lofty.route import Route

_IDLE_SECONDS = 2.0  # a server may be closing an older connection at this very moment
_CHUNK = 2**16
_MOST_INTERIM = 1000

# Kinds of failure that the type of an exception does not show; all others are named by that type.
NAME_NOT_FOUND = "host name not found"
NAME_INVALID = "invalid host name"
CERTIFICATE_OF_ANOTHER = "certificate for another host"
CERTIFICATE_NOT_VALID_NOW = "certificate not valid now"
PROXY_REFUSED = "refused by the proxy"
SPOKE_FIRST = "the server spoke, or hung up, before it was asked"
NO_FINAL_ANSWER = "interim answers only"
MORE_THAN_ONE = "more than one answer"
TOO_LONG = "a body that is too long"
# OpenSSL's X509_V_ERR_… (its manual, X509_STORE_CTX_get_error)
_OF_ANOTHER = frozenset((62, 64))  # host name, IP address
_NOT_VALID_NOW = frozenset((9, 10))


class _NamedFailure(OSError):
    """
    A failure that the type of an exception does not show.

    :param kind: one of the kinds above, or why a body cannot be decoded
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass
class _Exchange:
    """
    One request on its way, and whether its first byte has left.

    :param deadline: when it must be over, by the clock
    :param start_before: when its first byte must have left
    :param needs_fresh: whether its connection must not have carried another request before
    :ivar is_reused: whether its connection had carried another request before
    :ivar has_more: whether more came behind its answer
    :ivar connection: to be put back, or closed, once the answer has been judged
    """

    deadline: float
    start_before: Lapse | None
    clock: Callable[[], float]
    needs_fresh: bool = False
    started: bool = False
    is_reused: bool = False
    has_more: bool = False
    connection: HTTPConnection | None = None
    put_back: Callable[[], None] | None = None

    def start(self, *, is_reused: bool) -> None:
        if self.start_before is not None and self.start_before.is_over:
            raise TimeoutError("too late to begin")
        self.started = True
        self.is_reused = is_reused
        self.has_more = False  # of a proxy's answer to CONNECT

    def finish(self, *, is_in_step: bool) -> None:
        """Let the connection be used again, or not."""
        connection, put_back = self.connection, self.put_back
        self.connection = self.put_back = None  # a pool that its own connection refers to would never be closed
        if connection is not None and not is_in_step:
            connection.close()
        if put_back is not None:
            put_back()

    def seconds_left(self) -> float:
        left = self.deadline - self.clock()
        if left <= 0:
            raise TimeoutError("the request's total time is up")
        return left


# The exchange of this thread; requests offers no other way to its connection.
_current: ContextVar[_Exchange | None] = ContextVar("exchange", default=None)


def _now() -> float:
    exchange = _current.get()
    return boot_seconds() if exchange is None else exchange.clock()


class _DeadlineReader(io.RawIOBase):
    """Reads a socket, each time for no longer than the exchange has left."""

    def __init__(self, sock: socket.socket, exchange: _Exchange) -> None:
        self._socket = sock
        self._exchange = exchange
        self._stream = sock.makefile("rb", buffering=0)
        self.is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.is_over:
            return None
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
        self._exchange = _current.get()
        if self._exchange is not None:
            self.fp.close()
            self._reader = _DeadlineReader(sock, self._exchange)
            self.fp = io.BufferedReader(self._reader)

    def _read_status(self) -> tuple[str, int, str]:
        """Pass over interim answers: http.client itself takes any but a 100 for the answer."""
        for _ in range(_MOST_INTERIM):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 100 <= status < 200 or status == SWITCHING_PROTOCOLS:
                return version, status, reason
            parse_headers(self.fp)
        raise _NamedFailure(NO_FINAL_ANSWER)

    def _close_conn(self) -> None:
        """Called when the answer has been read: what was read beyond it would be lost unseen with the buffer."""
        if self._exchange is not None:
            self._reader.is_over = True
            self._exchange.has_more = bool(self.fp.peek(1))
        super()._close_conn()  # type: ignore[misc]


def _is_silent(sock: socket.socket) -> bool:
    """
    Whether a connection is open and has nothing left to read; otherwise it cannot be used again.

    Only by reading can this be asked of plain sockets, TLS and TLS within TLS alike.
    """
    sock.settimeout(0)
    try:
        sock.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    return False


class _Watched(HTTPConnection):
    """Notes when a request starts, and when the connection was last used."""

    last_used = 0.0
    is_used = False

    def connect(self) -> None:
        super().connect()
        self.is_used = False

    def putrequest(self, method: str, url: str, skip_host: bool = False, skip_accept_encoding: bool = False) -> None:
        if self.sock is None:
            self.connect()
        exchange = _current.get()
        if exchange is not None:
            if not self.is_used and not _is_silent(self.sock):  # of a used one the pool has made sure
                raise _NamedFailure(SPOKE_FIRST)
            self.sock.settimeout(exchange.seconds_left())
            exchange.start(is_reused=self.is_used)
        self.is_used = True
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
                raise _NamedFailure(PROXY_REFUSED) from None
            raise


def _is_reusable(connection: _Watched) -> bool:
    exchange = _current.get()
    if exchange is not None and exchange.needs_fresh:
        return False
    return _now() - connection.last_used <= _IDLE_SECONDS and _is_silent(connection.sock)


class _FreshPool(HTTPConnectionPool):
    """Reuses no connection that lay idle, or on which something lies: closed here, it is opened anew."""

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection: Any = super()._get_conn(timeout)
        if not connection.is_closed and not _is_reusable(connection):
            connection.close()  # here, not later: only now does urllib3 open it anew through proxy and TLS
        return connection

    def _put_conn(self, connection: Any) -> None:
        """Called as soon as the body has been read: another thread would use it before the answer is judged."""
        exchange = _current.get()
        if exchange is None:
            super()._put_conn(connection)
        else:
            exchange.connection, exchange.put_back = connection, partial(super()._put_conn, connection)


class _Pool(_FreshPool):
    ConnectionCls = _Watched


class _TLSPool(_FreshPool, HTTPSConnectionPool):
    ConnectionCls = _WatchedTLS


def _without_query(record: logging.LogRecord) -> bool:
    """Keep look-ups by address or number out of urllib3's debug lines."""
    if _current.get() is not None and isinstance(record.args, tuple):
        record.args = tuple(arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args)
    return True


def _without_words(record: logging.LogRecord) -> bool:
    """Keep URL and headers of an exchange out of urllib3's warning of headers that are none."""
    if _current.get() is not None and record.exc_info:
        record.msg, record.args, record.exc_info = "the headers of an answer are malformed", (), None
    return True


logging.getLogger("urllib3.connectionpool").addFilter(_without_query)
logging.getLogger("urllib3.connection").addFilter(_without_words)

_POOLS = {"http": _Pool, "https": _TLSPool}


@cache
def _socks_pool() -> type[_FreshPool]:
    from urllib3.contrib.socks import SOCKSHTTPSConnection  # PySocks need not be there

    class _SocksTLS(_WatchedTLS, SOCKSHTTPSConnection):
        pass

    class _SocksPool(_FreshPool, HTTPSConnectionPool):
        ConnectionCls = _SocksTLS

    return _SocksPool


class _Adapter(HTTPAdapter):
    """Uses the connections above, through a proxy too, and never retries by itself."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._pools: dict[tuple[object, ...], Any] = {}

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """Say which pool a request belongs to; requests would look at the file of certificates each time."""
        key = origin_of(request.url or ""), verify, cert
        if key not in self._pools:
            self._pools[key] = super().build_connection_pool_key_attributes(request, verify, cert)
        return self._pools[key]

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = {"https": _socks_pool()} if proxy.lower().startswith("socks") else _POOLS
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
    route: Route,
    timeout_seconds: float,
    start_before: Lapse | None = None,
    clock: Callable[[], float] = boot_seconds,
    *,
    posted: Posted | None = None,
) -> Answer:
    """
    Send one request and read its whole answer; whatever happens is reported in the :class:`Answer`.

    :param route: by which way it leaves
    :param timeout_seconds: for everything from connecting to the last byte
    :param start_before: when the first byte must have left; after that nothing is sent
    :param clock: seconds, which also pass while the machine is suspended
    :param posted: the activity that the request adds, if it does
    """
    needs_fresh = posted is not None and posted.needs_fresh
    current = _Exchange(clock() + timeout_seconds, start_before, clock, needs_fresh)
    is_in_step = False
    token = _current.set(current)
    try:
        answer = _answer_to(session, request, route, timeout_seconds, current, posted)
        is_in_step = _is_in_step(answer, current)
    finally:
        _current.reset(token)
        current.finish(is_in_step=is_in_step)
    return answer


def _answer_to(
    session: requests.Session,
    request: requests.PreparedRequest,
    route: Route,
    timeout_seconds: float,
    current: _Exchange,
    posted: Posted | None,
) -> Answer:
    proxies = {"https": route.proxy} if route.proxy else {}
    try:
        # Not session.send: it would take a redirect's Location apart, and fail when that is no URL.
        adapter = session.get_adapter(request.url or "")
        with adapter.send(request, True, timeout_seconds, verify=route.ca_path, proxies=proxies) as response:
            body = _read(response)
        if current.has_more and current.is_reused:  # which of them is this request's cannot be told
            raise _NamedFailure(MORE_THAN_ONE)
    except (
        requests.RequestException,
        HTTPError,
        OSError,
        ValueError,
    ) as error:  # ValueError: a host name that cannot be one
        return Answer(None, sent=current.started, failure=_cause(error))
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, body, posted=posted, is_reused=current.is_reused)


def _is_in_step(answer: Answer, current: _Exchange) -> bool:
    """Whether the next answer on this connection will belong to the next request."""
    if answer.status is None or answer.status < 200 or current.has_more:
        return False
    return answer.posted is None or answer.verdict.meaning is not Meaning.DOUBT


def _read(response: requests.Response) -> bytes:
    body = bytearray()
    for chunk in response.raw.stream(_CHUNK, decode_content=False):
        body += chunk
        if len(body) > LONGEST_BODY:
            raise _NamedFailure(TOO_LONG)
    try:
        return decoded(bytes(body), response.headers.get("content-encoding", ""))
    except ValueError as error:
        raise _NamedFailure(str(error)) from None


def as_response(answer: Answer) -> requests.Response:
    """Make what requests would have returned, of status and body only, for libraries that need it."""
    response = requests.Response()
    response.status_code = answer.status or 0
    response._content = answer.body
    return response


def _cause(error: BaseException) -> str:
    """Name the innermost cause by its type; messages may hold the URL, and with it a person's address."""
    while not isinstance(error, _NamedFailure) and (inner := _inner(error)) is not None:
        error = inner
    if isinstance(error, _NamedFailure):
        return error.kind
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
