"""
The only way out: every HTTP request of this provider, token requests included, leaves through one method.

There it waits for its turn and is counted, and from its answer the pacer learns. It has a total deadline, follows no
redirect, and goes over verified TLS; plain http is for loopback only.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from email.utils import parsedate_to_datetime
from enum import Enum
from functools import cached_property

import requests
from requests.auth import AuthBase

from airflow_provider_lofty import __version__
from airflow_provider_lofty.clock import Lapse, boot_seconds
from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftyUnreachable
from airflow_provider_lofty.lofty import bodies
from airflow_provider_lofty.lofty.answers import Answer, Meaning, Posted, Verdict
from airflow_provider_lofty.lofty.credentials import Credential, HeaderAuth, PostForm, credential_from
from airflow_provider_lofty.lofty.errors import failure_text, origin_of
from airflow_provider_lofty.lofty.pacing import Pacer, Ticket
from airflow_provider_lofty.lofty.redaction import texts_of, without_echo
from airflow_provider_lofty.lofty.route import Route, route_to
from airflow_provider_lofty.lofty.settings import LoftySettings, is_loopback
from airflow_provider_lofty.lofty.transport import as_response, exchange, new_session
from airflow_provider_lofty.lofty.window import ResetUnit

PATIENCE_SECONDS = (1.0, 2.0, 4.0)  # between repeats of a call that stores nothing

_HEADERS = {
    # Some endpoints answer 400 or 415 without it, on GET too.
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": bodies.ACCEPTED,
    "User-Agent": f"airflow-provider-lofty/{__version__}",
}
_NO_TOKEN_ENDPOINT = frozenset((301, 302, 303, 307, 308, 404, 405))


class Endpoint(Enum):
    """What Lofty limits separately: some endpoints have lower limits, which say nothing about the others."""

    ADD_ACTIVITY = "add activity"
    LIST_ACTIVITIES = "list activities"
    FIND_LEADS = "find leads"
    ME = "me"
    TOKEN = "token"  # noqa: S105 - a name


class LoftySession:
    """
    Sends requests in their turn, with the connection's credential.

    :param read_settings: gives the connection's settings; called when they are first needed
    :param requests_per_minute: a cap on the pace, on top of the connection's own
    :param mask: keeps a secret out of logs from then on
    :param sleep: waits for a number of seconds
    :param clock: seconds, which also pass while the machine is suspended
    :param now: seconds since 1970
    :param chance: gives a number from 0 to 1
    """

    def __init__(
        self,
        read_settings: Callable[[], LoftySettings],
        *,
        requests_per_minute: float | None = None,
        mask: Callable[[str], object],
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = boot_seconds,
        now: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._read_settings = read_settings
        self._requests_per_minute = requests_per_minute
        self._mask = mask
        self._sleep = sleep
        self.clock = clock
        self._now = now
        self._chance = chance
        self.requests_made = 0
        self.times_throttled = 0
        self._lock = threading.Lock()  # of the two counts and the pacers
        self._pacers: dict[Endpoint, Pacer] = {}
        self._reset_unit = ResetUnit()
        self._routes: dict[str, Route] = {}

    @cached_property
    def settings(self) -> LoftySettings:
        """
        The connection, checked.

        :raises LoftyConfigurationError: when it is missing or a field of it is wrong
        """
        return self._read_settings()

    @property
    def host(self) -> str:
        """The base URL, for messages."""
        return self.settings.base_url

    @property
    def cap(self) -> float | None:
        """Requests a minute that the author or the connection allows, the smaller of the two; None without any."""
        return min((cap for cap in (self._requests_per_minute, self.settings.requests_per_minute) if cap), default=None)

    @property
    def _first_pace(self) -> float | None:
        """Where activities begin, by the connection's profile: no cap, and an author's cap comes before it."""
        return None if self._requests_per_minute else self.settings.first_requests_per_minute

    @property
    def pacer(self) -> Pacer:
        """Says when the next activity may be posted; every other request waits for its turn here as well."""
        return self.pacer_of(Endpoint.ADD_ACTIVITY)

    def pacer_of(self, endpoint: Endpoint) -> Pacer:
        """Says when the next request to an endpoint may go."""
        with self._lock:
            if endpoint not in self._pacers:
                first = self._first_pace if endpoint is Endpoint.ADD_ACTIVITY else None
                self._pacers[endpoint] = Pacer(self.cap, self.clock, self._reset_unit, self._chance, first)
            return self._pacers[endpoint]

    @cached_property
    def http(self) -> requests.Session:
        """The connections, without a credential."""
        http = new_session(self.settings.max_in_flight)
        http.headers.update(_HEADERS)
        # For who borrows the session from the hook; what is sent here goes by its route.
        http.trust_env = not is_loopback(self.settings.base_url)
        return http

    def close(self) -> None:
        """Close idle connections."""
        if "http" in self.__dict__:
            self.http.close()

    # The credential

    @cached_property
    def _credential(self) -> Credential:
        return self.new_credential(self._post_form)

    def new_credential(self, post_form: PostForm) -> Credential:
        """
        Make the credential that the connection asks for.

        :param post_form: sends its token requests
        """
        return credential_from(self.settings, post_form, self.clock, self._mask)

    def prepare(self) -> None:
        """
        Read the connection and mask its secrets now, in this thread: Airflow answers a task's main thread only.

        :raises LoftyConfigurationError: when the connection is missing or a field of it is wrong, or its requests
            cannot leave as the environment wants it
        """
        self._credential  # noqa: B018
        self.check_routes()

    def check_routes(self) -> None:
        """
        Find the way to each host that requests will go to.

        :raises LoftyConfigurationError: when the proxy or certificate settings of the environment allow none
        """
        for url in self.settings.urls:
            self.route_to(url)

    def route_to(self, url: str) -> Route:
        """By which way requests to a host leave; it is looked for once."""
        origin = origin_of(url)
        if origin not in self._routes:
            self._routes[origin] = route_to(url)
        return self._routes[origin]

    def authorization(self) -> str:
        """The header that requests carry now. It holds a secret."""
        return self._credential.header()

    def _post_form(self, url: str, form: dict[str, str], headers: dict[str, str], auth: AuthBase) -> requests.Response:
        """Make a token request; it stores nothing, so it may be repeated."""
        for wait in (*PATIENCE_SECONDS, None):
            request = requests.Request("POST", url, headers=headers, data=form, auth=auth)
            answer = self.send(request, Endpoint.TOKEN)
            if answer.status is not None and answer.status < 500 and answer.status != 429:
                break
            if wait is None:
                failure = failure_text(self.verdict_on(answer))
                raise LoftyUnreachable(f"no token from {origin_of(url)}: {failure}; nothing was sent")
            self._sleep(wait)
        if answer.is_html or answer.status in _NO_TOKEN_ENDPOINT:
            raise LoftyConfigurationError(
                f"{origin_of(url)} answered HTTP {answer.status}: token_url is not a token endpoint"
            )
        return as_response(answer)

    def verdict_on(self, answer: Answer, sent: bytes = b"", asked: str = "") -> Verdict:
        """
        Say what an answer means, without the credential or what it may echo of the request.

        :param sent: the activity that was sent
        :param asked: the address or number that was asked for
        """
        verdict = answer.verdict
        if not verdict.message or verdict.message != answer.error[1]:  # our own words, which need no redaction
            return verdict
        private = (*self.settings.secrets, *self._credential.secrets, asked, *(texts_of(sent) if sent else ()))
        return replace(verdict, message=without_echo(verdict.message, private))

    # Sending

    def send_authorised(
        self,
        request: requests.Request,
        endpoint: Endpoint,
        *,
        has_turn: bool = False,
        start_before: Lapse | None = None,
        posted: Posted | None = None,
    ) -> Answer:
        """
        Make a request with the credential; if that is refused and can be renewed, once more.

        :param has_turn: the caller has reserved the pacer's turn and waited for it
        :param start_before: a request that has not begun by then is not sent
        :param posted: the activity that the request adds, if it does
        """
        try:
            header = self._credential.header()
        except BaseException:
            if has_turn:
                self.pacer.give_back()
            raise
        request.auth = HeaderAuth(header)
        answer = self.send(request, endpoint, has_turn=has_turn, start_before=start_before, posted=posted)
        is_refused = answer.sent and answer.verdict.meaning is Meaning.CREDENTIAL_REFUSED
        if is_refused and self._credential.renew(header):
            request.auth = HeaderAuth(self._credential.header())
            answer = self.send(request, endpoint, start_before=start_before, posted=posted)
        return answer

    def send_now(self, request: requests.Request, endpoint: Endpoint, timeout_seconds: float) -> Answer:
        """Make a request that somebody waits for: out of turn, though counted in the pace."""
        for pacer in self._pacers_of(endpoint):
            pacer.reserve()
        return self.send(request, endpoint, has_turn=True, timeout_seconds=timeout_seconds)

    def send(
        self,
        request: requests.Request,
        endpoint: Endpoint,
        *,
        has_turn: bool = False,
        start_before: Lapse | None = None,
        timeout_seconds: float | None = None,
        posted: Posted | None = None,
    ) -> Answer:
        """
        Make one request. Every other method that makes one calls this.

        :param has_turn: a turn of each pacer has been reserved and waited for
        :param start_before: a request that has not begun by then is not sent
        :param timeout_seconds: from connecting to the last byte; by default the connection's own
        :param posted: the activity that the request adds, if it does
        :raises LoftyConfigurationError: when the URL is not one that a request can be made of, or there is no way to it
        """
        pacers = self._pacers_of(endpoint)
        prepared, route = self._prepared(request, pacers if has_turn else ())
        if not has_turn:
            self._wait_for_turn(pacers)
        with self._lock:
            self.requests_made += 1
        tickets = [pacer.begin() for pacer in pacers]
        timeout = timeout_seconds or self.settings.timeout_seconds
        answer = exchange(self.http, prepared, route, timeout, start_before, self.clock, posted=posted)
        self._learn(answer, endpoint, pacers, tickets)
        return answer

    def _pacers_of(self, endpoint: Endpoint) -> list[Pacer]:
        """What a request waits for: the pacer of all, and last the endpoint's own."""
        return list(dict.fromkeys((self.pacer, self.pacer_of(endpoint))))

    def _prepared(self, request: requests.Request, reserved: Sequence[Pacer]) -> tuple[requests.PreparedRequest, Route]:
        try:
            return self.http.prepare_request(request), self.route_to(request.url)
        except (ValueError, requests.RequestException, LoftyConfigurationError) as error:
            for pacer in reserved:
                pacer.give_back()
            if isinstance(error, LoftyConfigurationError):
                raise
            what = f"no request can be made to {origin_of(request.url)}: {type(error).__name__}"
            raise LoftyConfigurationError(what) from None

    def _wait_for_turn(self, pacers: Sequence[Pacer]) -> None:
        delay = max([pacer.reserve() for pacer in pacers])
        try:
            if delay > 0:
                self._sleep(delay)
        except BaseException:
            for pacer in pacers:
                pacer.give_back()
            raise

    def _learn(self, answer: Answer, endpoint: Endpoint, pacers: Sequence[Pacer], tickets: Sequence[Ticket]) -> None:
        is_refused = answer.verdict.meaning is Meaning.RATE_LIMITED
        if is_refused:
            with self._lock:
                self.times_throttled += 1
        for pacer, ticket in zip(pacers[:-1], tickets[:-1], strict=True):
            pacer.passed(ticket)
        own, ticket = pacers[-1], tickets[-1]
        if answer.status is None:
            own.passed(ticket)
            return
        limit = own.ended(ticket, answer.headers, self._server_time(answer), is_refused=is_refused)
        if limit is not None and endpoint is not Endpoint.TOKEN:
            self.pacer.guess(limit)

    def _server_time(self, answer: Answer) -> float:
        """Seconds since the epoch by the server's clock, which may be minutes off; by ours where it does not say."""
        try:
            return parsedate_to_datetime(answer.headers["date"]).timestamp()
        except (LookupError, ValueError, TypeError, ArithmeticError, OSError):  # whatever the header makes of it
            return self._now()
