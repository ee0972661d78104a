"""Lofty's endpoints, as far as this provider uses them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Literal, TypeVar
from urllib.parse import urlsplit

import requests

from airflow_provider_lofty.clock import Lapse
from airflow_provider_lofty.exceptions import LoftyError, LoftyUnreachable
from airflow_provider_lofty.lofty.answers import Answer, JsonObject, Meaning, Posted, Verdict
from airflow_provider_lofty.lofty.credentials import HeaderAuth, masked_header
from airflow_provider_lofty.lofty.errors import error_for, failure_text
from airflow_provider_lofty.lofty.reading import MOST_PAGES, PAGE_SIZE, Snapshot, read_lead
from airflow_provider_lofty.lofty.session import PATIENCE_SECONDS, Endpoint, LoftySession

_MOST_LEADS = 100  # in one answer
_BRIEF_PATIENCE_SECONDS = (1.0,)  # where the caller will ask again
_MOST_MERGED = 10_000  # leads that are remembered
_RATE_REFUSALS = 20  # in a row, for one call

_Json = TypeVar("_Json", list[object], JsonObject)


class LoftyClient(LoftySession):
    """Talks to the Lofty API. Safe to share between threads."""

    @cached_property
    def _merged(self) -> set[int]:
        """Leads for which another lead's id came."""
        return set()

    def reading_delay(self) -> float:
        """Seconds until a lead's activities may be read; zero or less means now."""
        reading = self.pacer_of(Endpoint.LIST_ACTIVITIES)
        return math.inf if reading.is_full else max(self.pacer.delay(), reading.delay())

    def error_for(self, verdict: Verdict, what: str) -> LoftyError:
        """Make the exception for an answer that is not a success; ``what`` names what was asked for."""
        return error_for(verdict, what, self.settings)

    # Adding

    def add_activity(self, lead_id: int, body: bytes) -> int:
        """
        Add one activity to a lead. Returning means that Lofty accepted it.

        Nothing is ever sent twice here: a request is retried only where it certainly was not stored.

        :param body: a checked ``LeadActivity`` as JSON
        :return: the id of the lead that Lofty answered with
        :raises LoftyRequestRejected: not stored: Lofty refused it
        :raises LoftyAnswerLost: it may be stored: no trustworthy answer came
        :raises LoftyUnreachable: not stored: no connection could be made
        :raises LoftyCredentialRefused, LoftyConfigurationError: not stored
        """
        for wait in (*PATIENCE_SECONDS, None):
            verdict = self._post_until_allowed(lead_id, body)
            if verdict.meaning is Meaning.DELIVERED:
                return verdict.lead_id or lead_id
            if verdict.meaning is not Meaning.NEVER_SENT:
                raise self.error_for(verdict, "the activity")
            if wait is not None:
                self._sleep(wait)
        raise LoftyUnreachable(f"no connection to {self.host}: {verdict.message}; the activity was not sent")

    def _post_until_allowed(self, lead_id: int, body: bytes) -> Verdict:
        for _ in range(_RATE_REFUSALS):
            verdict = self.post_activity(lead_id, body)
            if verdict.meaning is not Meaning.RATE_LIMITED:
                return verdict
        raise LoftyUnreachable(f"{self.host} refused {_RATE_REFUSALS} times for the rate limit; nothing was stored")

    def post_activity(
        self, lead_id: int, body: bytes, *, has_turn: bool = False, start_before: Lapse | None = None
    ) -> Verdict:
        """
        Make one ``POST /v1.0/leads/{leadId}/activity`` and say what its answer means.

        After a rate refusal the pacer holds until Lofty's window turns; the caller decides whether the row is
        retried.

        :param body: a checked ``LeadActivity`` as JSON
        :param has_turn: the caller has reserved the pacer's turn and waited for it
        :param start_before: a request that has not begun by then is not sent
        :raises LoftyCredentialRefused, LoftyUnreachable, LoftyConfigurationError: no token could be obtained; the
            activity was not sent
        """
        request = self._add_request(lead_id, body)
        # A lead that was merged answers so every time: without this, each row of it would be in doubt.
        posted = Posted(lead_id, body, needs_fresh=lead_id in self._merged)
        answer = self.send_authorised(
            request, Endpoint.ADD_ACTIVITY, has_turn=has_turn, start_before=start_before, posted=posted
        )
        if answer.is_of_another and len(self._merged) < _MOST_MERGED:
            self._merged.add(lead_id)
        return self.verdict_on(answer, body)

    def post_answer(self, lead_id: int, body: bytes) -> Answer:
        """Post an activity once, and give the answer as it came."""
        request = self._add_request(lead_id, body)
        return self.send_authorised(request, Endpoint.ADD_ACTIVITY, posted=Posted(lead_id, body))

    def get_answer(
        self, path: str, endpoint: Endpoint, params: Mapping[str, int] | None = None, *, authorization: str = ""
    ) -> Answer:
        """
        Make a GET once, and give the answer as it came.

        :param authorization: the header's value; by default the connection's credential
        """
        request = requests.Request("GET", self.host + path, params=params)
        if not authorization:
            return self.send_authorised(request, endpoint)
        request.auth = HeaderAuth(authorization)
        return self.send(request, endpoint)

    def _add_request(self, lead_id: int, body: bytes) -> requests.Request:
        return requests.Request("POST", f"{self.host}/v1.0/leads/{lead_id}/activity", data=body)

    def shown_request(self, lead_id: int, body: bytes) -> list[str]:
        """
        Write a request down as it would leave, line by line, with the credential masked. Nothing is sent.

        :param body: a checked ``LeadActivity`` as JSON
        :raises LoftyConfigurationError: when the connection is missing or a field of it is wrong
        """
        request = self._add_request(lead_id, body)
        request.auth = HeaderAuth(masked_header(self.settings))
        prepared = self.http.prepare_request(request)
        headers = {"Host": urlsplit(request.url).netloc, **prepared.headers}
        return [
            f"POST {prepared.path_url} HTTP/1.1",
            *(f"{name}: {value}" for name, value in headers.items()),
            "",
            body.decode(),
        ]

    # Reading

    def read_back(self, lead_id: int, since: int) -> Snapshot:
        """
        Read what Lofty shows of a lead's activities, newest ``created`` first, no further than needed.

        :param since: milliseconds since 1970; older activities need not be read
        :raises LoftyUnreachable: no usable answer after several tries
        :raises LoftyRequestRejected: the lead does not exist or is not visible
        :raises LoftyConfigurationError, LoftyCredentialRefused: reading is not permitted
        """
        return read_lead(partial(self._activities, lead_id, patience=_BRIEF_PATIENCE_SECONDS), lead_id, since)

    def list_activities(self, lead_id: int) -> Iterator[JsonObject]:
        """
        Read a lead's activities, newest first by ``created``, a page of 100 for each request, at most 5 000.

        :raises LoftyRequestRejected: the lead does not exist or is not visible
        :raises LoftyUnreachable: no usable answer after several tries
        """
        previous = None
        for number in range(MOST_PAGES):
            page = self._activities(lead_id, number)
            if page == previous:  # a server that ignores curPage would be read without end
                return
            yield from (entry for entry in page if isinstance(entry, dict))
            if len(page) < PAGE_SIZE:
                return
            previous = page

    def _activities(self, lead_id: int, page: int, patience: Sequence[float] = PATIENCE_SECONDS) -> list[object]:
        path = f"/v1.0/leads/{lead_id}/activities"
        return self._get(path, Endpoint.LIST_ACTIVITIES, list, {"curPage": page}, patience)

    def find_leads(self, name: Literal["email", "phone"], wanted: str) -> list[JsonObject]:
        """
        Find the leads that have this e-mail address or phone number.

        Lofty ignores parameters that it does not know and then answers with any leads, so each one is compared:
        addresses without regard to case, numbers by their digits.

        :return: Lofty's lead objects (``leadId``, ``emails``, ``phones``, …), none, one or several
        :raises LoftyUnreachable: no usable answer after several tries
        """
        normal = _normal_email if name == "email" else _normal_phone
        if not normal(wanted):
            return []
        params: dict[str, str | int] = {name: wanted.strip(), "preciseSearchFlag": "true", "limit": _MOST_LEADS}
        leads = _list_in(self._get("/v1.0/leads", Endpoint.FIND_LEADS, dict, params), "leads")
        return [
            lead
            for lead in leads
            if isinstance(lead, dict)
            and any(normal(str(known)) == normal(wanted) for known in _list_in(lead, f"{name}s"))
        ]

    def get_me(self) -> JsonObject:
        """
        Read the profile of the credential's owner (``GET /v1.0/me``).

        :raises LoftyCredentialRefused, LoftyConfigurationError, LoftyUnreachable: as the answer says
        """
        return self._get("/v1.0/me", Endpoint.ME, dict)

    def _get(
        self,
        path: str,
        endpoint: Endpoint,
        shape: type[_Json],
        params: Mapping[str, str | int] | None = None,
        patience: Sequence[float] = PATIENCE_SECONDS,
    ) -> _Json:
        """Make a GET, and again where that helps, until it returns JSON of this shape."""
        refusals, waits = 0, list(patience)
        while True:
            answer = self.send_authorised(requests.Request("GET", self.host + path, params=params), endpoint)
            if answer.status == 200 and isinstance(answer.json, shape) and not answer.names_error:
                return answer.json
            verdict = self.verdict_on(answer)
            if verdict.meaning is Meaning.DELIVERED:  # a lead id does not make a success here
                verdict = replace(verdict, meaning=Meaning.DOUBT)
            if verdict.meaning is Meaning.RATE_LIMITED and refusals < _RATE_REFUSALS:
                refusals += 1
            elif verdict.meaning in (Meaning.DOUBT, Meaning.NEVER_SENT, Meaning.RATE_LIMITED):
                if not waits:
                    raise LoftyUnreachable(f"{self.host}{path} gave no usable answer: {failure_text(verdict)}")
                self._sleep(waits.pop(0))
            else:
                raise self.error_for(verdict, f"GET {path}")


def _list_in(found: JsonObject, name: str) -> list[object]:
    value = found.get(name)
    return value if isinstance(value, list) else []


def _normal_email(address: str) -> str:
    return address.strip().casefold()


def _normal_phone(number: str) -> str:
    digits = "".join(c for c in number if c.isascii() and c.isdigit())
    return digits[1:] if len(digits) == 11 and digits.startswith("1") else digits  # +1, often left out
