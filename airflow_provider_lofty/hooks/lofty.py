"""The hook: connection, authentication and the only HTTP requests of this provider."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
from airflow.sdk import BaseHook

from airflow_provider_lofty import __version__, config
from airflow_provider_lofty.exceptions import (
    LoftyAnswerLost,
    LoftyConfigurationError,
    LoftyCredentialRefused,
    LoftyError,
    LoftyRequestRejected,
    LoftyUnreachable,
)
from airflow_provider_lofty.hooks.settings import settings_from
from airflow_provider_lofty.hooks.widgets import field_behaviour, form_widgets
from airflow_provider_lofty.lofty.answers import (
    PERMISSION_MISSING,
    Answer,
    Meaning,
    Verdict,
    verdict_on,
)
from airflow_provider_lofty.lofty.connection_test import check_up, told
from airflow_provider_lofty.lofty.credentials import (
    Credential,
    HeaderAuth,
    advice_on_refusal,
    credential_from,
    masked_header,
)
from airflow_provider_lofty.lofty.pacing import Pacer
from airflow_provider_lofty.lofty.redaction import redact, texts_of
from airflow_provider_lofty.lofty.settings import LoftySettings
from airflow_provider_lofty.lofty.trace import Trace, trace_in_entry
from airflow_provider_lofty.lofty.transport import as_response, exchange, new_session
from airflow_provider_lofty.lofty.window import ResetUnit
from airflow_provider_lofty.rows import builder as activities
from airflow_provider_lofty.rows.columns import MappingError
from airflow_provider_lofty.rows.values import InvalidValue, identifier, plain

_HEADERS = {
    # Some endpoints answer 400 or 415 without it, on GET too.
    "Content-Type": "application/json",
    "Accept": "application/json",
    "User-Agent": f"airflow-provider-lofty/{__version__}",
}
_ADDING, _READING, _FINDING, _PROFILE, _TOKEN = "add activity", "list activities", "find leads", "me", "token"
_PAGE_SIZE = 100  # of the activities of a lead; fixed by Lofty
_MOST_PAGES = 50
_PATIENCE_SECONDS = (1.0, 2.0, 4.0)  # between repeats of a call that stores nothing
_BRIEF_PATIENCE_SECONDS = (1.0,)  # where whoever asked will ask again
_RATE_REFUSALS = 20  # in a row, for one call


class Shown(NamedTuple):
    """
    What Lofty shows of a lead's activities.

    :param is_complete: whether all that was asked for was read
    """

    entries: list[Trace]
    is_complete: bool


class LoftyHook(BaseHook):
    """
    Talks to the Lofty API.

    Connection type ``lofty``: the host is the base URL (default ``https://api.lofty.com``), the password an API key
    or access token; the extra fields are described in the README. Every request has a total deadline, follows no
    redirect and goes over verified TLS; plain http is for loopback only. All but those of ``test_connection`` are
    paced.

    :param lofty_conn_id: the connection
    :param requests_per_minute: a cap on the pace, below the connection's own
    :param sleep: waits so many seconds
    :param clock: monotonic seconds
    :param now: seconds since 1970
    :param chance: gives a number from 0 to 1
    """

    conn_name_attr = "lofty_conn_id"
    default_conn_name = "lofty_default"
    conn_type = "lofty"
    hook_name = "Lofty"

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """The extra fields of the connection form, for Airflow 3.1."""
        return form_widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """What becomes of the other fields of the form, for Airflow 3.1."""
        return field_behaviour()

    def __init__(
        self,
        lofty_conn_id: str = default_conn_name,
        *,
        requests_per_minute: float | None = None,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__()
        self.lofty_conn_id = lofty_conn_id
        self.requests_per_minute = requests_per_minute
        self._sleep = sleep
        self._clock = clock
        self._now = now
        self._chance = chance
        self.requests_made = 0
        self.times_throttled = 0
        self._counting = threading.Lock()
        self._pacers: dict[str, Pacer] = {}
        self._reset_unit = ResetUnit()

    @cached_property
    def settings(self) -> LoftySettings:
        """
        The connection, checked.

        :raises LoftyConfigurationError: when it is missing or a field of it is wrong
        """
        return settings_from(config.named_connection(self.lofty_conn_id), config.numbers())

    @property
    def pacer(self) -> Pacer:
        """Says when the next activity may be posted; all other requests wait for a turn of it, too."""
        return self._pacer_of(_ADDING)

    def reading_delay(self) -> float:
        """Seconds until a lead's activities may be read; zero or less means now."""
        reading = self._pacer_of(_READING)
        return math.inf if reading.is_full else max(self.pacer.delay(), reading.delay())

    @property
    def cap(self) -> float | None:
        """Requests a minute that the author or the connection allows, the smaller of the two; None without any."""
        return min((cap for cap in (self.requests_per_minute, self.settings.requests_per_minute) if cap), default=None)

    def _pacer_of(self, endpoint: str) -> Pacer:
        """Limits are kept for each endpoint: some have lower ones, which say nothing about the others."""
        with self._counting:
            if endpoint not in self._pacers:
                self._pacers[endpoint] = Pacer(self.cap, self._clock, self._reset_unit, self._chance)
            return self._pacers[endpoint]

    @cached_property
    def _credential(self) -> Credential:
        return credential_from(self.settings, self._post_form, self._clock)

    @cached_property
    def _session(self) -> requests.Session:
        session = new_session(self.settings.max_in_flight)
        session.trust_env = not self.settings.is_loopback  # a proxy must not see what is meant for this machine
        return session

    def prepare(self) -> None:
        """
        Read the connection and mask its secrets now, in this thread: Airflow answers a task's main thread only.

        :raises LoftyConfigurationError: when the connection is missing or a field of it is wrong
        """
        self._credential  # noqa: B018

    def get_conn(self) -> requests.Session:
        """The HTTP session, without credentials."""
        return self._session

    def close(self) -> None:
        """Close idle connections."""
        if "_session" in self.__dict__:
            self._session.close()

    def add_activity(self, lead_id: int, activity: Mapping[str, Any]) -> int:
        """
        Add one activity to a lead. Returning means that Lofty accepted it.

        Nothing is ever sent twice here: a request goes again only where it certainly was not stored.

        :param lead_id: the lead
        :param activity: Lofty's ``LeadActivity``: ``type``, ``text``, ``link``, ``picture``, ``created`` (a
            timestamp, or milliseconds since 1970), and optionally ``listing``, ``scheduledDate``, ``pageName``
        :return: the id of the lead that Lofty answered with
        :raises LoftyRequestRejected: not stored: the activity breaks a rule, or Lofty refused it
        :raises LoftyAnswerLost: it may be stored: no trustworthy answer came
        :raises LoftyUnreachable: not stored: no connection could be made
        :raises LoftyCredentialRefused, LoftyConfigurationError: not stored
        """
        checked = _checked(lead_id, activity)
        for wait in (*_PATIENCE_SECONDS, None):
            verdict = self._post_until_allowed(checked)
            if verdict.meaning is Meaning.DELIVERED:
                return verdict.lead_id or checked.lead_id
            if verdict.meaning is not Meaning.NEVER_SENT:
                raise self.error_for(verdict, "the activity")
            if wait is not None:
                self._sleep(wait)
        raise LoftyUnreachable(f"no connection to {self.host}: {verdict.message}; the activity was not sent")

    def _post_until_allowed(self, checked: activities.Activity) -> Verdict:
        for _ in range(_RATE_REFUSALS):
            verdict = self.post_activity(checked.lead_id, checked.body)
            if verdict.meaning is not Meaning.RATE_LIMITED:
                return verdict
        raise LoftyUnreachable(f"{self.host} refused {_RATE_REFUSALS} times for the rate limit; nothing was stored")

    def post_activity(
        self, lead_id: int, body: bytes, *, has_turn: bool = False, start_before: float = math.inf
    ) -> Verdict:
        """
        Make one ``POST /v1.0/leads/{leadId}/activity`` and say what its answer means.

        After a rate refusal the hook's pacer holds until Lofty's window turns; the caller decides whether the row
        goes again.

        :param body: a checked ``LeadActivity`` as JSON
        :param has_turn: the caller has reserved the pacer's turn and waited for it
        :param start_before: by the clock; what has not begun then is not sent any more
        :raises LoftyCredentialRefused, LoftyUnreachable, LoftyConfigurationError: no token could be had; the
            activity was not sent
        """
        path = _add_path(lead_id)
        answer = self._authorised("POST", path, _ADDING, has_turn=has_turn, start_before=start_before, data=body)
        return self._verdict(answer, body)

    def shown_request(self, lead_id: int, body: bytes) -> list[str]:
        """
        Write a request down as it would leave, line by line, with the credential masked. Nothing is sent.

        :param body: a checked ``LeadActivity`` as JSON
        :raises LoftyConfigurationError: when the connection is missing or a field of it is wrong
        """
        url, auth = f"{self.host}{_add_path(lead_id)}", HeaderAuth(masked_header(self.settings))
        request = self._session.prepare_request(requests.Request("POST", url, data=body, headers=_HEADERS, auth=auth))
        headers = {"Host": urlsplit(url).netloc, **request.headers}
        return [
            f"POST {request.path_url} HTTP/1.1",
            *(f"{name}: {value}" for name, value in headers.items()),
            "",
            body.decode(),
        ]

    def _verdict(self, answer: Answer, sent: bytes = b"") -> Verdict:
        """Say what an answer means; a credential that it echoes stays out, and so does the activity that was sent."""
        verdict = verdict_on(answer)
        if not verdict.message or verdict.message != answer.error[1]:  # no words of the server
            return verdict
        private = (*self.settings.secrets, *self._credential.secrets, *(texts_of(sent) if sent else ()))
        return replace(verdict, message=redact(verdict.message, private))

    def read_back(self, lead_id: int, since: int) -> Shown:
        """
        Read what Lofty shows of a lead's activities, newest ``created`` first, no further than needed.

        :param since: milliseconds since 1970; older activities need not be read
        :raises LoftyUnreachable: no usable answer after several tries
        :raises LoftyRequestRejected: the lead does not exist or is not visible
        :raises LoftyConfigurationError, LoftyCredentialRefused: reading is not permitted
        """
        entries: list[Trace] = []
        for page in self._pages(lead_id, _BRIEF_PATIENCE_SECONDS):
            found = [trace_in_entry(lead_id, entry) for entry in page]
            times = [entry.created for entry in found if entry is not None]
            entries += (entry for entry in found if entry is not None)
            is_last = len(page) < _PAGE_SIZE
            is_beyond = bool(times) and times[-1] < since and times == sorted(times, reverse=True)
            if is_last or is_beyond:
                return Shown(entries, is_complete=True)
        return Shown(entries, is_complete=False)

    def list_activities(self, lead_id: int) -> Iterator[dict[str, Any]]:
        """
        Read a lead's activities, newest first by ``created``, a page of 100 for each request, at most 5 000.

        :raises LoftyRequestRejected: the lead does not exist or is not visible
        :raises LoftyUnreachable: no usable answer after several tries
        """
        for page in self._pages(lead_id, _PATIENCE_SECONDS):
            yield from (entry for entry in page if isinstance(entry, dict))

    def _pages(self, lead_id: int, patience: Sequence[float]) -> Iterator[list[Any]]:
        previous = None
        for number in range(_MOST_PAGES):
            path = f"/v1.0/leads/{lead_id}/activities"
            found: list[Any] = self._read(path, _READING, {"curPage": number}, list, patience)
            if found == previous and found:  # a server that ignores curPage would be read without end
                return
            yield found
            if len(found) < _PAGE_SIZE:
                return
            previous = found

    def find_leads(self, email: str | None = None, phone: str | None = None) -> list[dict[str, Any]]:
        """
        Find the leads that have this e-mail address or phone number.

        Lofty ignores parameters that it does not know and then answers with any leads, so each one is compared:
        addresses without regard to case, numbers by their digits.

        :param email: an address; or
        :param phone: a number
        :return: Lofty's lead objects (``leadId``, ``emails``, ``phones``, …), none, one or several
        :raises LoftyConfigurationError: unless exactly one of the two is given
        :raises LoftyUnreachable: no usable answer after several tries
        """
        name, wanted = _one_of(email, phone)
        normal = _normal_email if name == "email" else _normal_phone
        if not normal(wanted):
            return []
        params = {name: wanted.strip(), "preciseSearchFlag": "true", "limit": _PAGE_SIZE}
        leads = _list_in(self._read("/v1.0/leads", _FINDING, params, dict), "leads")
        return [
            lead
            for lead in leads
            if isinstance(lead, dict)
            and any(normal(str(known)) == normal(wanted) for known in _list_in(lead, f"{name}s"))
        ]

    def get_me(self) -> dict[str, Any]:
        """
        Read the profile of the credential's owner (``GET /v1.0/me``).

        :raises LoftyCredentialRefused, LoftyConfigurationError, LoftyUnreachable: as the answer says
        """
        profile: dict[str, Any] = self._read("/v1.0/me", _PROFILE, {}, dict)
        return profile

    def test_connection(self) -> tuple[bool, str]:
        """
        Try the connection, in ten seconds at most. Never raises, and never shows a credential.

        :return: whether it can be used; and who it speaks for, or what is wrong and what to do
        """
        is_usable, said = told(lambda: check_up(self.settings, self._ask_once, self._clock))
        return is_usable, said.removeprefix(
            f"the connection {self.lofty_conn_id!r}: "
        )  # Airflow tests under another id

    def _ask_once(
        self, method: str, url: str, *, timeout_seconds: float, headers: Mapping[str, str] | None = None, **content: Any
    ) -> Answer:
        """Make a request for somebody who waits for it: out of turn, though counted in the pace."""
        endpoint = _PROFILE if method == "GET" else _TOKEN
        for pacer in (self.pacer, self._pacer_of(endpoint)):
            pacer.reserve()
        content["headers"] = {**_HEADERS, **(headers or {})}
        return self._request(method, url, endpoint, has_turn=True, timeout_seconds=timeout_seconds, **content)

    @property
    def host(self) -> str:
        """The base URL, for messages."""
        return self.settings.base_url

    def error_for(self, verdict: Verdict, what: str) -> LoftyError:
        """Make the exception for an answer that is no success; ``what`` names what was asked for."""
        error = self._error_for(verdict, what)
        error.code = verdict.code
        return error

    def _error_for(self, verdict: Verdict, what: str) -> LoftyError:
        said = f"HTTP {verdict.status}" + (f", code {verdict.code}" if verdict.code is not None else "")
        if verdict.meaning is Meaning.CREDENTIAL_REFUSED:
            advice = advice_on_refusal(self.settings.auth_type, verdict.code)
            return LoftyCredentialRefused(f"Lofty refused the credential of {self.lofty_conn_id!r} ({said}): {advice}")
        if verdict.meaning is Meaning.MISCONFIGURED:
            return LoftyConfigurationError(f"{self.host} answered {said} to {what}: {_configuration_advice(verdict)}")
        if verdict.meaning is Meaning.REJECTED:
            return LoftyRequestRejected(f"Lofty refused {what} ({said}): {verdict.message}; nothing was stored")
        return LoftyAnswerLost(
            f"{what} was sent to {self.host} and no trustworthy answer came ({said}: {verdict.message}): it may be "
            "stored. Look at the lead's activities before it is sent again"
        )

    def _read(
        self,
        path: str,
        endpoint: str,
        params: Mapping[str, Any],
        shape: type,
        patience: Sequence[float] = _PATIENCE_SECONDS,
    ) -> Any:
        """Make a GET, again where that helps, until it gives JSON of this shape."""
        refusals, waits = 0, list(patience)
        while True:
            answer = self._authorised("GET", path, endpoint, params=params)
            if answer.status == 200 and isinstance(answer.json, shape) and answer.error[0] in (None, 0, 200):
                return answer.json
            verdict = self._verdict(answer)
            if verdict.meaning is Meaning.DELIVERED:  # a lead id is no success here
                verdict = replace(verdict, meaning=Meaning.DOUBT)
            if verdict.meaning is Meaning.RATE_LIMITED and refusals < _RATE_REFUSALS:
                refusals += 1
            elif verdict.meaning in (Meaning.DOUBT, Meaning.NEVER_SENT, Meaning.RATE_LIMITED):
                if not waits:
                    raise LoftyUnreachable(f"{self.host}{path} gave no usable answer: {_described(verdict)}")
                self._sleep(waits.pop(0))
            else:
                raise self.error_for(verdict, f"GET {path}")

    def _authorised(self, method: str, path: str, endpoint: str, *, has_turn: bool = False, **content: Any) -> Answer:
        """Make a request with the credential; if that is refused and can be renewed, once more."""
        try:
            header = self._credential.header()
        except BaseException:
            if has_turn:
                self.pacer.give_back()
            raise
        url = self.host + path
        content["headers"] = _HEADERS
        answer = self._request(method, url, endpoint, has_turn=has_turn, auth=HeaderAuth(header), **content)
        refused = answer.sent and verdict_on(answer).meaning is Meaning.CREDENTIAL_REFUSED
        if refused and self._credential.renew(header):
            header = self._credential.header()
            answer = self._request(method, url, endpoint, auth=HeaderAuth(header), **content)
        return answer

    def _post_form(self, url: str, form: dict[str, str], headers: dict[str, str], auth: Any) -> requests.Response:
        """Make a token request; it stores nothing, so it may be repeated."""
        for wait in (*_PATIENCE_SECONDS, None):
            answer = self._request("POST", url, _TOKEN, auth=auth, headers={**_HEADERS, **headers}, data=form)
            if answer.status is not None and answer.status < 500 and answer.status != 429:
                break
            if wait is None:
                raise LoftyUnreachable(
                    f"no token from {_origin(url)}: {_described(self._verdict(answer))}; nothing was sent"
                )
            self._sleep(wait)
        if answer.is_html or answer.status in (301, 302, 303, 307, 308, 404, 405):
            raise LoftyConfigurationError(
                f"{_origin(url)} answered HTTP {answer.status}: token_url is no token endpoint"
            )
        return as_response(answer)

    def _request(
        self,
        method: str,
        url: str,
        endpoint: str,
        *,
        has_turn: bool = False,
        start_before: float = math.inf,
        timeout_seconds: float | None = None,
        **content: Any,
    ) -> Answer:
        """The one door: every HTTP request of this provider leaves here."""
        pacers = list(dict.fromkeys((self.pacer, self._pacer_of(endpoint))))
        try:
            request = self._session.prepare_request(requests.Request(method, url, **content))
        except (ValueError, requests.RequestException) as error:
            for pacer in pacers if has_turn else ():
                pacer.give_back()
            raise LoftyConfigurationError(f"{_origin(url)} makes no request: {type(error).__name__}") from None
        if not has_turn:
            self._wait_for_turn(pacers)
        with self._counting:
            self.requests_made += 1
        tickets = [pacer.begin() for pacer in pacers]
        timeout = timeout_seconds or self.settings.timeout_seconds
        answer = exchange(self._session, request, timeout, start_before, self._clock)
        is_refused = verdict_on(answer).meaning is Meaning.RATE_LIMITED
        if is_refused:
            with self._counting:
                self.times_throttled += 1
        for pacer, ticket in zip(pacers[:-1], tickets[:-1], strict=True):
            pacer.passed(ticket)
        if answer.status is None:
            pacers[-1].passed(tickets[-1])
            return answer
        limit = pacers[-1].ended(tickets[-1], answer.headers, _server_time(answer, self._now), is_refused=is_refused)
        if limit is not None and endpoint != _TOKEN:
            self.pacer.guess(limit)
        return answer

    def _wait_for_turn(self, pacers: Sequence[Pacer]) -> None:
        delay = max([pacer.reserve() for pacer in pacers])
        try:
            if delay > 0:
                self._sleep(delay)
        except BaseException:
            for pacer in pacers:
                pacer.give_back()
            raise


def _add_path(lead_id: int) -> str:
    return f"/v1.0/leads/{lead_id}/activity"


def _checked(lead_id: int, activity: Mapping[str, Any]) -> activities.Activity:
    """Check one activity as the operator checks a row."""
    given = {str(name): value for name, value in activity.items()}
    try:
        given = {**given, "leadId": identifier(plain(lead_id))}
        mapping = activities.Mapping()
        layout = mapping.layout(tuple(given), table=True)
        checked = layout.build(list(given.values()))
        for unknown in (*layout.ignored, *mapping.nested_ignored):
            raise MappingError(f"Lofty has no field {unknown!r}")
        return checked
    except InvalidValue as error:
        raise LoftyRequestRejected(f"nothing was sent: leadId {error}") from None
    except (MappingError, activities.InvalidRow) as error:
        raise LoftyRequestRejected(f"nothing was sent: {error}") from None


def _one_of(email: str | None, phone: str | None) -> tuple[str, str]:
    given = [(name, value) for name, value in (("email", email), ("phone", phone)) if value is not None]
    if len(given) != 1:
        raise LoftyConfigurationError("find_leads needs either an email or a phone")
    return given[0]


def _list_in(found: Mapping[str, Any], name: str) -> list[Any]:
    value = found.get(name)
    return value if isinstance(value, list) else []


def _normal_email(address: str) -> str:
    return address.strip().casefold()


def _normal_phone(number: str) -> str:
    digits = "".join(c for c in number if c.isascii() and c.isdigit())
    return digits[1:] if len(digits) == 11 and digits.startswith("1") else digits  # +1, often left out


def _configuration_advice(verdict: Verdict) -> str:
    if verdict.code == PERMISSION_MISSING:
        return "the app lacks the permission (200100); ask Lofty to grant it; nothing was stored"
    if verdict.status in (401, 403, 407):
        return "a proxy or gateway on the way refused it, not Lofty; nothing was stored"
    return "check the connection's host; nothing was stored"


def _server_time(answer: Answer, now: Callable[[], float]) -> float:
    """Seconds since the epoch by the server's clock, which may be minutes off; by ours where it does not say."""
    try:
        return parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, ValueError):
        return now()


def _described(verdict: Verdict) -> str:
    return f"HTTP {verdict.status}, {verdict.message or 'empty answer'}" if verdict.status else verdict.message


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
