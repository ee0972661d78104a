"""Lofty's endpoints, as far as this provider uses them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from typing import TypeVar
from urllib.parse import urlsplit

import requests

from airflow_provider_lofty.clock import Lapse
from airflow_provider_lofty.exceptions import (
    LoftyConfigurationError,
    LoftyError,
    LoftyRequestRejected,
    LoftyUnreachable,
)
from airflow_provider_lofty.lofty.answers import Answer, JsonObject, Meaning, Posted, Verdict
from airflow_provider_lofty.lofty.credentials import HeaderAuth, masked_header
from airflow_provider_lofty.lofty.errors import error_for, failure_text
from airflow_provider_lofty.lofty.lead_keys import NORMAL, KeyKind, spellings
from airflow_provider_lofty.lofty.lead_pages import MOST_LEADS, LeadPage, page_of
from airflow_provider_lofty.lofty.reading import MOST_PAGES, PAGE_SIZE, Snapshot, read_lead
from airflow_provider_lofty.lofty.session import PATIENCE_SECONDS, Endpoint, LoftySession

_BRIEF_PATIENCE_SECONDS = (1.0,)  # where the caller will ask again
_MOST_MERGED = 10_000  # leads that are remembered
_RATE_REFUSALS = 20  # in a row, for one call

_LEADS = "/v1.0/leads"
_PERMISSION_DENIED = 20017

_Json = TypeVar("_Json", list[object], JsonObject)


class LoftyClient(LoftySession):
    """Talks to the Lofty API. Safe to share between threads."""

    _is_account_confirmed = False
    _finds_any_spelling = False  # of a phone number: whether a search has found one without its country's 1

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
        self.confirm_account()
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

    def _add_request(self, lead_id: int | str, body: bytes) -> requests.Request:
        return requests.Request("POST", f"{self.host}/v1.0/leads/{lead_id}/activity", data=body)

    def shown_request(self, lead_id: int | str, body: bytes) -> list[str]:
        """
        Write a request down as it would leave, line by line, with the credential masked. Nothing is sent.

        :param lead_id: the lead, or what stands for one that is yet to be found
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

    # Leads

    def identify(self, lead_id: int) -> int | None:
        """
        Ask under which id Lofty has a lead: another one where it was merged.

        Another one is believed when it is named twice: an answer may be another request's.

        :return: None when Lofty does not say, or does not let this credential see it
        """
        said = self._named_lead(lead_id)
        return said if said in (None, lead_id) or self._named_lead(lead_id) == said else None

    def _named_lead(self, lead_id: int) -> int | None:
        with suppress(LoftyError):
            lead = self._get(f"/v1.0/leads/{lead_id}", Endpoint.FIND_LEADS, dict, patience=()).get("lead")
            found = lead.get("leadId") if isinstance(lead, dict) else None
            return found if type(found) is int and found > 0 else None
        return None

    def find_leads(self, kind: KeyKind, wanted: str) -> list[JsonObject]:
        """
        Find the leads that have this e-mail address or phone number.

        Lofty ignores parameters that it does not know and then answers with any leads, so each one is compared:
        addresses without regard to case, numbers by their digits.

        :return: Lofty's lead objects (``leadId``, ``emails``, ``phones``, …), none, one or several
        :raises LoftyUnreachable: no usable answer after several tries
        """
        normal = NORMAL[kind]
        if not normal(wanted):
            return []
        leads = _list_in(self._list_leads(_search(kind, wanted.strip())), "leads")
        return [
            lead
            for lead in leads
            if isinstance(lead, dict)
            and any(normal(str(known)) == normal(wanted) for known in _list_in(lead, f"{kind}s"))
        ]

    def find_lead_ids(self, kind: KeyKind, key: str, patience: Sequence[float] = PATIENCE_SECONDS) -> list[int] | None:
        """
        Find the leads that have this e-mail address or phone number: all of them, or at least two.

        :param key: as :mod:`~airflow_provider_lofty.lofty.lead_keys` writes it
        :param patience: how long to wait before each repeat
        :return: their ids; None when what Lofty answers does not tell, because it ignores the search
        :raises LoftyUnreachable: no usable answer after several tries
        :raises LoftyRequestRejected: Lofty refused the search
        :raises LoftyConfigurationError, LoftyCredentialRefused: looking leads up is not permitted
        """
        found: set[int] = set()
        for spelling in self._spellings(kind, key):
            page = self.list_leads(_search(kind, spelling), patience)
            having = [lead for lead in page.leads if lead.has(kind, key)]
            found.update(lead.lead_id for lead in having)
            if not page.is_all(kind, key):
                return sorted(found) if len(found) > 1 else None
            if any(key in lead.digits for lead in having) and spelling != key:
                self._finds_any_spelling = True
                break
        return sorted(found)

    def _spellings(self, kind: KeyKind, key: str) -> tuple[str, ...]:
        """What to search for; whether a number is found without its country's 1 shows when one was."""
        return (key,) if self._finds_any_spelling else spellings(kind, key)

    def list_leads(self, params: Mapping[str, str | int], patience: Sequence[float] = PATIENCE_SECONDS) -> LeadPage:
        """
        Read one page of a list of leads.

        :param params: what to ask for, as Lofty names it
        :param patience: how long to wait before each repeat
        :raises LoftyUnreachable: no usable answer after several tries
        :raises LoftyRequestRejected: Lofty refused what was asked for
        :raises LoftyConfigurationError, LoftyCredentialRefused: listing leads is not permitted
        """
        page = page_of(self._list_leads(params, patience))
        if page is None:
            raise LoftyUnreachable(f"{self.host}{_LEADS} gave no list of leads")
        return page

    def _list_leads(self, params: Mapping[str, str | int], patience: Sequence[float] = PATIENCE_SECONDS) -> JsonObject:
        asked = next((str(params[kind]) for kind in NORMAL if kind in params), "")
        try:
            return self._get(_LEADS, Endpoint.FIND_LEADS, dict, {**params, "limit": MOST_LEADS}, patience, asked)
        except LoftyRequestRejected as error:
            if error.code == _PERMISSION_DENIED:
                raise LoftyConfigurationError(f"{error}. Give the credential's owner permission to see leads") from None
            raise

    def get_me(self) -> JsonObject:
        """
        Read the profile of the credential's owner (``GET /v1.0/me``).

        :raises LoftyCredentialRefused, LoftyConfigurationError, LoftyUnreachable: as the answer says
        """
        return self._get("/v1.0/me", Endpoint.ME, dict)

    def confirm_account(self) -> None:
        """
        Ask whose the credential is, once, where the connection's profile is bound to an account.

        :raises LoftyConfigurationError: it is another account, or Lofty does not say; nothing was sent
        :raises LoftyCredentialRefused, LoftyUnreachable: as the answer says
        """
        profile = self.settings.profile
        if profile is None or profile.account_id is None or self._is_account_confirmed:
            return
        try:
            found = self.get_me()
        except LoftyConfigurationError as error:
            raise LoftyConfigurationError(f"{error}. The connection's profile cannot be compared without it") from None
        self.refuse_other_account(found)
        self._is_account_confirmed = True

    def refuse_other_account(self, owner: JsonObject) -> None:
        """
        Compare the credential's owner with whom the connection's profile was learned from.

        :param owner: what ``GET /v1.0/me`` gave
        :raises LoftyConfigurationError: it is somebody else
        """
        profile = self.settings.profile
        if profile is not None and not profile.is_of(owner.get("id")):
            raise LoftyConfigurationError(
                f"the connection {self.settings.conn_id!r}: profile: account_id is another account than that of its "
                "credential; nothing was sent. Take the profile out, and make one of this account"
            )

    def _get(
        self,
        path: str,
        endpoint: Endpoint,
        shape: type[_Json],
        params: Mapping[str, str | int] | None = None,
        patience: Sequence[float] = PATIENCE_SECONDS,
        asked: str = "",
    ) -> _Json:
        """
        Make a GET, and again where that helps, until it returns JSON of this shape.

        :param asked: the part of it that is private
        """
        refusals, waits = 0, list(patience)
        while True:
            answer = self.send_authorised(requests.Request("GET", self.host + path, params=params), endpoint)
            if answer.status == 200 and isinstance(answer.json, shape) and not answer.names_error:
                return answer.json
            verdict = self.verdict_on(answer, asked=asked)
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


def _search(kind: KeyKind, wanted: str) -> dict[str, str | int]:
    return {kind: wanted, "preciseSearchFlag": "true"}


def _list_in(found: JsonObject, name: str) -> list[object]:
    value = found.get(name)
    return value if isinstance(value, list) else []
