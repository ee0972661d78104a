"""
The check itself: which requests are made, in what order, and what is kept of their answers.

Activities go to one lead only. No more than five requests post one, repeats after a refusal for the rate included.
Nothing is repeated whose answer was lost, and after such an answer nothing more is posted; reading back shows what
became of it. What a missing lead and a wrong key are answered with is asked by GET. A GET is repeated when its answer
is a failure that may pass.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, repeat
from typing import Any, NamedTuple

from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftyRequestRejected, LoftyUnreachable
from airflow_provider_lofty.first_contact.listing import Page, first_page_of, overlap, page_size_of, without_repeats
from airflow_provider_lofty.first_contact.posts import Fate, Post, Posted, posts
from airflow_provider_lofty.lofty.answers import LEAD_NOT_FOUND, Answer, Meaning
from airflow_provider_lofty.lofty.client import LoftyClient
from airflow_provider_lofty.lofty.errors import failure_text
from airflow_provider_lofty.lofty.session import Endpoint
from airflow_provider_lofty.lofty.window import WINDOW_SECONDS
from airflow_provider_lofty.profile.profile import AnswerKind

TOTAL_SECONDS = 120.0
MOST_POSTS = 5
PATIENCE_SECONDS = 60.0  # until what was posted is shown
# Seconds between looks; the last again and again. They grow with what is past: a lag is known to a sixth or so.
_LOOKS = (0.5, 0.5, 1.0, 1.0, 2.0, 2.0, 3.0, 5.0, 5.0, 10.0)
_REPEAT_AFTER_SECONDS = (1.0,)
RESET_SECONDS = 1.5  # from the first Reset header on, until it shows by falling whether it counts seconds
_AFTER_LOOKS_SECONDS = 15.0  # what is left for the last two questions
_MOST_PAGES = 5  # that one look reads behind the first one
RESET_HEADER = "x-ratelimit-reset"
_MISSING_LEAD = 2**63 - 1
_NO_TIME = "the rate limit left no time for it"
_NO_POST = "of five posts, refusals for the rate left none for it"

_FATES = {Meaning.DELIVERED: Fate.ACCEPTED, Meaning.REJECTED: Fate.REFUSED, Meaning.DOUBT: Fate.UNKNOWN}
_REFUSALS = (Meaning.REJECTED, Meaning.CREDENTIAL_REFUSED, Meaning.MISCONFIGURED)
_CONFLICT = 409
_STATUSES_OF_BODIES = (200, 400, 413, 422)
# Lofty's codes for what no other body would change: the content type, the lead, the permission.
_CODES_OF_OTHERS = (20001, LEAD_NOT_FOUND, 20017)


class Heard(NamedTuple):
    """
    An answer.

    :param kind: what was asked for; or that it was refused
    :param at: by the clock
    """

    kind: AnswerKind
    answer: Answer
    at: float


class Contact:
    """
    One check of one account.

    :param client: of the connection
    :param lead_id: the test lead; no other gets an activity
    :param mark: tells this check's activities from those of another
    :param clock: seconds, the client's
    :param now: seconds since 1970
    :param sleep: waits for a number of seconds
    :param patience: seconds to wait for what was posted to be shown
    """

    def __init__(
        self,
        client: LoftyClient,
        lead_id: int,
        mark: str,
        *,
        clock: Callable[[], float],
        now: Callable[[], float],
        sleep: Callable[[float], object],
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.client = client
        self.lead_id = lead_id
        self._mark = mark
        self._clock = clock
        self._now = now
        self._sleep = sleep
        self.patience = patience
        self._deadline = clock() + TOTAL_SECONDS
        self._begun_at = clock()
        self._last_took = 0.0  # seconds that the last request was on its way
        self.heard: list[Heard] = []
        self.owner: dict[str, Any] | None = None
        self.owner_answer: Answer | None = None
        self.reading: Answer | None = None  # of the lead's activities: the last list; without one, the first refusal
        self.pages: list[Page] = []  # 0, 1 and perhaps 2 of the lead's, before anything was posted
        self.read: list[Page] = []  # those that the last look read
        self.is_whole = True  # as far as is known, the last look read all, or all that it was for
        self.is_end_seen = False  # and it is known
        self._page_size: int | None = None
        self._next_page = 1  # behind the first one; from here looks go on
        self.reading_failure = ""  # why the first page was not shown, when it was asked for last
        self.page_failure = ""  # why one of those before the posts was not
        self.posted: list[Posted] = []
        self._posts_left = MOST_POSTS
        self.missing_lead: Answer | None = None
        self.wrong_key: Answer | None = None

    # Before anything is posted

    def begin(self) -> str:
        """
        Ask whose the credential is, and read the lead and its activities.

        :return: the lead's initials
        :raises LoftyError: when the check cannot go on: nothing was posted
        """
        self._deadline = self._clock() + TOTAL_SECONDS
        self._expect_turn(Endpoint.ME, "GET /v1.0/me")
        self.owner_answer = answer = self._ask("get_me", "/v1.0/me", Endpoint.ME)
        if answer.status == 200 and isinstance(answer.json, dict) and not answer.names_error:
            self.client.refuse_other_account(answer.json)
            self.owner = answer.json
        elif answer.status is None or self.client.verdict_on(answer).meaning is Meaning.CREDENTIAL_REFUSED:
            raise self._error(answer, "GET /v1.0/me")
        # Whatever else came names nobody: it is the lead that shows whether the credential is accepted.
        initials = self._initials()
        self._read_pages()
        self._begun_at = self._clock()
        return initials

    def _read_pages(self) -> None:
        for number in (0, 1, 2):
            if number == 2 and not (self.pages[0] and self.pages[0] == self.pages[1]):
                return  # only where they are the same it may tell whether pages count from 1, or are all one
            if not self._has_time_for_turn(Endpoint.LIST_ACTIVITIES, others=2):  # a post and a look tell more
                self.page_failure = _NO_TIME
                return
            answer = self._page(number) if number else self._first_page()
            entries = entries_in(answer)
            if entries is None:
                self.page_failure = self._why_no_page(answer)
                return
            self.pages.append(entries)

    def _expect_turn(self, endpoint: Endpoint, what: str) -> None:
        if not self._has_time_for_turn(endpoint):
            raise LoftyUnreachable(f"the rate limit leaves no time for {what}; nothing was posted")

    def _initials(self) -> str:
        self._expect_turn(Endpoint.FIND_LEADS, f"GET /v1.0/leads/{self.lead_id}")
        answer = self._ask("get_lead", f"/v1.0/leads/{self.lead_id}", Endpoint.FIND_LEADS)
        found = answer.json.get("lead") if isinstance(answer.json, dict) else None
        if answer.status != 200 or not isinstance(found, dict):
            raise self._error(answer, f"GET /v1.0/leads/{self.lead_id}")
        if str(found.get("leadId")) != str(self.lead_id):
            raise LoftyRequestRejected(
                f"Lofty shows another lead for {self.lead_id}: it was merged. Nothing was posted"
            )
        names = (str(found.get(name) or "").strip() for name in ("firstName", "lastName"))
        return "".join(f"{name[0]}." for name in names if name)

    def _page(self, number: int) -> Answer:
        path = f"/v1.0/leads/{self.lead_id}/activities"
        return self._ask("list_activities", path, Endpoint.LIST_ACTIVITIES, {"curPage": number})

    def _first_page(self) -> Answer:
        """Ask for the lead's first page, which tells whether reading works."""
        answer = self._page(0)
        is_read = entries_in(answer) is not None
        self.reading_failure = "" if is_read else self._why_no_page(answer)
        if is_read or (self.reading is None and is_refusal(answer)):
            self.reading = answer
        return answer

    def _why_no_page(self, answer: Answer) -> str:
        return "HTTP 200, but no list" if answer.status == 200 and not is_refusal(answer) else self.failure_of(answer)

    def failure_of(self, answer: Answer) -> str:
        """Write why the answer to a GET is of no use, without the credential."""
        if answer.status == 200 and answer.verdict.meaning is Meaning.DOUBT:
            return "HTTP 200, but not what was asked for"
        return failure_text(self.client.verdict_on(answer))

    def _error(self, answer: Answer, what: str) -> Exception:
        verdict = self.client.verdict_on(answer)
        if verdict.meaning in _REFUSALS:
            return self.client.error_for(verdict, what)
        return LoftyUnreachable(f"{what} gave no usable answer: {self.failure_of(answer)}; nothing was posted")

    # The posts, and what is shown of them

    def post(self) -> None:
        """Post the five, one after the other, unless something speaks against the next."""
        self._deadline += self._clock() - self._begun_at  # somebody may have thought about it for long
        self._let_reset_fall()
        self.posted = [Posted(post) for post in posts(self._mark, int(self._now() * 1000))]
        for turn, each in enumerate(self.posted, 1):
            others = len(self.posted) - turn
            if self._makes_way(each.post, others):
                each.fate, each.said = Fate.LEFT_OUT, _NO_POST
                continue
            if not (self._posts_left and self._has_time_for_turn(Endpoint.ADD_ACTIVITY, others=1)):
                each.said = _NO_TIME if self._posts_left else _NO_POST  # nothing is learned without a look
                return
            each.fate = Fate.UNKNOWN  # until an answer says otherwise; if none comes, it stays so
            self._send(each, others)
            if each.fate in (Fate.UNKNOWN, Fate.NOT_STORED):
                return

    def _let_reset_fall(self) -> None:
        first = next((each.at for each in self.heard if RESET_HEADER in each.answer.headers), None)
        if first is not None:
            self._sleep(max(first + RESET_SECONDS - self._clock(), 0.0))

    def _makes_way(self, post: Post, others: int) -> bool:
        """Whether a post has to be left out for so many others that are still to come."""
        return post.is_spare and self._posts_left <= others

    def _send(self, each: Posted, others: int) -> None:
        answer, is_left_out, hold = self._post(each.post), False, 0.0
        while answer.verdict.meaning is Meaning.RATE_LIMITED and self._posts_left:
            is_left_out = self._makes_way(each.post, others)
            if is_left_out or not self._has_time_for_turn(Endpoint.ADD_ACTIVITY, others=2, hold=hold):
                break
            answer, hold = self._post(each.post), WINDOW_SECONDS
        verdict = self.client.verdict_on(answer, each.post.body)
        each.answer, each.answered = answer, self._clock()
        each.fate = _FATES.get(verdict.meaning, Fate.NOT_STORED)
        each.is_refused = is_refusal(answer)
        # The first is the control: without it, no refusal can be put down to what a post holds.
        if each.fate is Fate.REFUSED and (each is self.posted[0] or not _may_be_for_body(answer)):
            each.fate = Fate.NOT_STORED
        # A conflict with what is there already leaves a delivery in doubt. Here nothing else can be there than the
        # equal post that was accepted just before.
        if each.post.turn > 1 and answer.status == _CONFLICT and _is_written_error(answer):
            each.fate = Fate.REFUSED
        if is_left_out:
            each.fate = Fate.LEFT_OUT
        each.said = "" if each.fate is Fate.ACCEPTED else failure_text(verdict)

    def _post(self, post: Post) -> Answer:
        leaves = self._leaves_at(Endpoint.ADD_ACTIVITY)
        self._posts_left -= 1
        answer = self.client.post_answer(self.lead_id, post.body)
        self._last_took = self._clock() - leaves
        self._hear("add_activity", answer)
        return answer

    def _hear(self, kind: AnswerKind, answer: Answer) -> None:
        if answer.status is None:
            return
        if answer.verdict.meaning is Meaning.RATE_LIMITED:
            kind = "rate_refusal"
        elif answer.status >= 400:
            kind = "error"
        self.heard.append(Heard(kind, answer, self._clock()))

    def look_back(self) -> None:
        """
        Look until everything that was or may have been stored is shown, or patience ends.

        The last look is asked for when it has ended: what that one does not show was missing all the time.
        """
        sought = [each for each in self.posted if each.fate in (Fate.ACCEPTED, Fate.UNKNOWN)]
        if not sought:
            return
        self._page_size = page_size_of(self.pages)
        until = min(self._clock() + self.patience, self._deadline - _AFTER_LOOKS_SECONDS)
        pauses = chain(_LOOKS, repeat(_LOOKS[-1]))
        while self._has_time_for_turn(Endpoint.LIST_ACTIVITIES):
            if not self._look(sought) or (left := until - self._clock()) <= 0:
                break
            self._sleep(min(next(pauses), left))
        if not any(each.sought or each.entry for each in sought):
            self.reading_failure = self.reading_failure or _NO_TIME
        if not all(each.entry for each in sought):
            self._look_behind(sought)

    def _look(self, sought: list[Posted]) -> bool:
        """Look once; say whether there is something to look for again."""
        asked = self._clock()
        answer = self._first_page()
        page = entries_in(answer)
        if page is None:
            return not is_refusal(answer)
        self._read_on(page, sought)
        entries, answered = self.fresh, self._clock()
        for each in sought:
            each.look(entries, asked, answered, is_whole=self.is_whole)
        return not all(each.entry for each in sought)

    def _read_on(self, page: Page, sought: list[Posted]) -> None:
        """Read the pages behind a full first one, some at a time, as long as something is missing."""
        self.read, start = [page], self._next_page
        self.is_end_seen = self._is_last(page)
        while self._page_size and not self.is_end_seen and len(self.read) <= _MOST_PAGES and self._lacks(sought):
            if not self._has_time_for_turn(Endpoint.LIST_ACTIVITIES, others=2):
                break
            behind = entries_in(self._page((first_page_of(self.pages) or 0) + self._next_page))
            if behind is None:
                break
            self.read.append(behind)
            self.is_end_seen = self._is_last(behind)
            self._next_page += 1
        if self.is_end_seen:
            # Its end is read again and again, but of a list that one look can read, all.
            self._next_page = 1 if start == 1 else max(self._next_page - 1, start)
        elif self._next_page <= _MOST_PAGES:
            self._next_page = 1
        is_moving = overlap(self.read, self._recognised)
        self.is_end_seen = self.is_end_seen and start == 1 and not is_moving
        if is_moving:
            self.read = without_repeats(self.read)
        self.is_whole = self.is_end_seen or (self._page_size is None and not _is_stuck(self.pages))

    def _is_last(self, page: Page) -> bool:
        return not page or (self._page_size is not None and len(page) < self._page_size)

    def _lacks(self, sought: list[Posted]) -> bool:
        entries = self.fresh
        return not all(each.entry or each.post.is_among(entries) for each in sought)

    def _look_behind(self, sought: list[Posted]) -> None:
        """See whether the first page is all, where nobody knows how long a page is; if not, look on all of them."""
        is_known = self._page_size is not None or _is_stuck(self.pages)
        if is_known or not (self.read and self.read[0]) or not self._has_time_for_turn(Endpoint.LIST_ACTIVITIES):
            return
        behind = entries_in(self._page((first_page_of(self.pages) or 0) + 1))
        self.is_end_seen = behind == []
        if not behind or behind == self.read[0]:
            return
        self._page_size, self.is_whole = len(self.read[0]), False
        for each in sought:
            each.forget_looks()
        if self._has_time_for_turn(Endpoint.LIST_ACTIVITIES):
            self._look(sought)

    @property
    def listed(self) -> Page:
        """What the last look read."""
        return [entry for page in self.read for entry in page]

    @property
    def fresh(self) -> list[dict[str, Any]]:
        """What of it was not there before the posts."""
        before = [entry for page in self.pages for entry in page]
        return [entry for entry in self.listed if isinstance(entry, dict) and entry not in before]

    @property
    def _recognised(self) -> list[dict[str, Any]]:
        return [entry for entry in self.fresh if any(each.post.is_in(entry) for each in self.posted)]

    @property
    def has_unrecognisable(self) -> bool:
        """Whether something came that may be one of the posts, but shows nothing by which that could be told."""
        unknown = [entry for entry in self.fresh if not any(each.post.is_in(entry) for each in self.posted)]
        return any(not entry.get("link") for entry in unknown)

    # What is asked by GET only

    def provoke(self) -> None:
        """Ask for a lead that does not exist, and ask with a key that is wrong by one letter."""
        if self._has_time_for_turn(Endpoint.LIST_ACTIVITIES):
            path = f"/v1.0/leads/{_MISSING_LEAD}/activities"
            self.missing_lead = self._ask("list_activities", path, Endpoint.LIST_ACTIVITIES, {"curPage": 0})
        if self._has_time_for_turn(Endpoint.ME):
            wrong = _with_one_letter_changed(self.client.authorization())
            self.wrong_key = self._ask("get_me", "/v1.0/me", Endpoint.ME, authorization=wrong)

    def _ask(
        self,
        kind: AnswerKind,
        path: str,
        endpoint: Endpoint,
        params: dict[str, int] | None = None,
        *,
        authorization: str = "",
    ) -> Answer:
        pauses = iter(_REPEAT_AFTER_SECONDS)
        while True:
            leaves = self._leaves_at(endpoint)
            answer = self.client.get_answer(path, endpoint, params, authorization=authorization)
            self._last_took = self._clock() - leaves
            self._hear(kind, answer)
            pause = None
            if answer.verdict.meaning is Meaning.RATE_LIMITED:
                pause = 0.0  # its turn comes with the next window
            elif _may_pass(answer):
                pause = next(pauses, None)
            if pause is None or not self._has_time_for_turn(endpoint, pause):
                return answer
            self._sleep(pause)

    def _leaves_at(self, endpoint: Endpoint) -> float:
        """When the next request will leave."""
        return self._clock() + max(self._delay(endpoint), 0.0)

    def _has_time_for_turn(self, endpoint: Endpoint, pause: float = 0.0, *, others: int = 0, hold: float = 0.0) -> bool:
        """
        Whether a request can leave in time.

        :param pause: seconds to wait at least
        :param others: how many requests are to leave after it, all of them in time
        :param hold: seconds for which another refusal for the rate would keep those from leaving
        """
        between = max(60.0 / self.client.pacer.requests_per_minute, self._last_took)
        return self._clock() + max(self._delay(endpoint), pause) + hold + others * between < self._deadline

    def _delay(self, endpoint: Endpoint) -> float:
        return max(self.client.pacer.delay(), self.client.pacer_of(endpoint).delay())


def is_refusal(answer: Answer) -> bool:
    """Whether Lofty itself says no, and would a moment later."""
    return answer.verdict.meaning in _REFUSALS and not answer.is_html


def _is_stuck(pages: list[Page]) -> bool:
    """Whether no page can be read but the first one, which may be full."""
    return len(pages) > 1 and bool(pages[0]) and first_page_of(pages) is None


def _may_pass(answer: Answer) -> bool:
    """Whether the same question may be answered otherwise a moment later: no data came, and no refusal of Lofty's."""
    return not is_refusal(answer) and (answer.status != 200 or answer.json is None)


def entries_in(answer: Answer) -> list[Any] | None:
    """The activities that an answer lists; None where it lists none, not even an empty page."""
    return answer.json if answer.status == 200 and isinstance(answer.json, list) else None


def _may_be_for_body(answer: Answer) -> bool:
    """Whether a refusal may be for what was posted."""
    return is_refusal(answer) and answer.status in _STATUSES_OF_BODIES and answer.error[0] not in _CODES_OF_OTHERS


def _is_written_error(answer: Answer) -> bool:
    """Whether a body by itself says what is wrong, as Lofty writes it in JSON, and names no lead."""
    has_words = answer.names_error or bool(answer.error[1])
    return has_words and isinstance(answer.json, dict | str) and not answer.is_html and not answer.has_lead_id


def _with_one_letter_changed(header: str) -> str:
    """In its middle: the last one may hold bits that do not count."""
    scheme, _, secret = header.partition(" ")
    if not secret:
        raise LoftyConfigurationError("the connection has no credential")
    place = len(secret) // 2
    return f"{scheme} {secret[:place]}{'b' if secret[place] == 'a' else 'a'}{secret[place + 1 :]}"
