"""What a check has shown, as facts: None, or nothing, where it was not seen."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from airflow_provider_lofty.first_contact import listing
from airflow_provider_lofty.first_contact.contact import RESET_HEADER, RESET_SECONDS, Contact, Heard
from airflow_provider_lofty.first_contact.posts import Fate, Posted, changes_of
from airflow_provider_lofty.lofty.answers import GATEWAY_STATUSES, Answer, Meaning
from airflow_provider_lofty.lofty.window import number_in
from airflow_provider_lofty.profile.profile import (
    AnswerForm,
    AnswerKind,
    ErrorShape,
    ListOrder,
    ResetReading,
    is_possible,
)

_BETWEEN_UNITS = 30.0  # a second: what counts seconds falls by less, what counts milliseconds by more
_ROUNDED = 2  # by so much a number of seconds may fall within no time
_LONGEST_MINUTE = 61  # seconds: a window of a minute, and what a server's clock may add


def named(contact: Contact, name: str) -> Posted | None:
    """The post of that name, if posting has begun."""
    return next((each for each in contact.posted if each.post.name == name), None)


def is_accepted(contact: Contact, name: str) -> bool | None:
    """Whether Lofty took a post or refused it for what it holds."""
    posted = named(contact, name)
    return {Fate.ACCEPTED: True, Fate.REFUSED: False}.get(posted.fate) if posted else None


def refusal_of(contact: Contact, name: str) -> AnswerForm | None:
    """How a post was refused for what it holds; None where it was not, or is shown all the same."""
    posted = named(contact, name)
    if posted is None or posted.fate is not Fate.REFUSED or is_shown_again(contact, posted):
        return None
    return form_of(posted.answer)


def is_shown_again(contact: Contact, posted: Posted) -> bool:
    """Whether a repeat is shown, whatever its answer said."""
    equals = [each for each in contact.posted if each.post.token == posted.post.token]
    return posted.post.turn > 1 and max(each.shown for each in equals) >= posted.post.turn


# The rate limit


def of_lofty(contact: Contact) -> list[Heard]:
    """The answers that are Lofty's: JSON, or the text or the nothing by which it refuses; no page of one on the way."""
    return [each for each in contact.heard if not each.answer.is_html and _is_of_api(each.answer)]


def _is_of_api(answer: Answer) -> bool:
    if answer.status is None or answer.status in GATEWAY_STATUSES:
        return False
    return answer.json is not None or 400 <= answer.status < 500


def rate_headers(contact: Contact) -> dict[AnswerKind, bool]:
    """Which kinds of answers have the rate headers: all of a kind, or none of them."""
    return {kind: has.pop() for kind, has in _with_rate_headers(contact).items() if len(has) == 1}


def mixed_rate_headers(contact: Contact) -> list[AnswerKind]:
    """Which kinds of answers differ among themselves: some have the rate headers."""
    return [kind for kind, has in _with_rate_headers(contact).items() if len(has) > 1]


def statuses_with_rate_headers(contact: Contact, kind: AnswerKind, *, has: bool) -> list[int]:
    """With which statuses answers of a kind came that have the rate headers, or have not."""
    found = {each.answer.status for each in of_lofty(contact) if each.kind == kind and _has_limit(each) is has}
    return sorted(status for status in found if status is not None)


def _with_rate_headers(contact: Contact) -> dict[AnswerKind, set[bool]]:
    found: dict[AnswerKind, set[bool]] = {}
    for each in of_lofty(contact):
        found.setdefault(each.kind, set()).add(_has_limit(each))
    return found


def _has_limit(heard: Heard) -> bool:
    return limit_in(heard.answer) is not None


def limits(contact: Contact) -> dict[AnswerKind, float]:
    """The limit that each kind of answer states, the last time; without what is too much for a limit."""
    stated = {kind: limit for kind, answer, _ in of_lofty(contact) if (limit := limit_in(answer))}
    return {kind: limit for kind, limit in stated.items() if is_possible("requests_per_minute", limit)}


def limit_in(answer: Answer) -> float | None:
    """The limit that an answer states."""
    limit = number_in(answer.headers.get("x-ratelimit-limit"))
    return limit if limit and limit >= 1 else None


def resets(contact: Contact) -> list[tuple[float, float]]:
    """When the Reset header came with which number."""
    found = [(at, number_in(answer.headers.get(RESET_HEADER))) for _, answer, at in of_lofty(contact)]
    return [(at, number) for at, number in found if number is not None]


def reset_unit(contact: Contact) -> ResetReading | None:
    """What the Reset header means."""
    values = resets(contact)
    if not values:
        is_there = any(RESET_HEADER in answer.headers for _, answer, _ in of_lofty(contact))
        return "nonsense" if is_there else None
    largest = max(number for _, number in values)
    if largest >= 1e9:
        return "epoch_milliseconds" if largest >= 1e12 else "epoch_seconds"
    for falling in _falling(values):
        (before, first), (after, second) = falling[0], falling[-1]
        if unit := _unit_of_fall(first - second, after - before):
            return unit
    return None


def _unit_of_fall(fallen: float, seconds: float) -> ResetReading | None:
    """Say what a number counts that fell by so much. Its size does not tell: a window may be longer than a minute."""
    if fallen > max(_BETWEEN_UNITS * seconds, _ROUNDED):
        return "milliseconds_left"
    return "seconds_left" if fallen > 0 and seconds >= RESET_SECONDS else None


def _falling(values: list[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Split them where a new window begins."""
    runs = [values[:1]]
    for before, after in pairwise(values):
        if after[1] > before[1]:
            runs.append([])
        runs[-1].append(after)
    return runs


def is_longer_than_minute(contact: Contact) -> bool:
    """Whether more than a minute was seen to be left of a window: a limit is not requests a minute then."""
    seconds = {"seconds_left": 1.0, "milliseconds_left": 0.001}.get(reset_unit(contact) or "")
    return bool(seconds) and max(number for _, number in resets(contact)) * (seconds or 0) > _LONGEST_MINUTE


# What is shown


def shown(contact: Contact) -> list[Posted]:
    """The posts that were seen in the lead's list, each once."""
    return [each for each in _single(contact) if each.entry is not None]


def unseen_text(contact: Contact) -> Posted | None:
    """
    The post without which nobody knows what becomes of texts, if it is not shown.

    Only one of them has what is usually changed; and a text is cut where another is long, unless long ones are refused.
    """
    special, long = (named(contact, name) for name in ("special", "long"))
    if special is not None and special.entry is None:
        return special
    return long if long is not None and long.entry is None and long.fate is not Fate.REFUSED else None


def changes(contact: Contact, name: str) -> list[str] | None:
    """By which changes a field is shown."""
    if not shown(contact) or (name == "text" and unseen_text(contact)):
        return None
    pairs = [(each.post.activity[name], (each.entry or {}).get(name)) for each in shown(contact)]
    return changes_of(name, pairs)


def lag(contact: Contact) -> tuple[float, float | None] | None:
    """For how long something was not shown that had been accepted; and after how long all of it was."""
    accepted = _accepted(contact)
    if not any(any(each.looked) for each in accepted) or is_cut(contact):
        return None
    if contact.has_unrecognisable and not all(each.entry for each in accepted):
        return None
    # A second of equal posts that is not shown may not have been kept: it says nothing of a lag.
    timed = [each for each in accepted if each.post.name != "twin" or each.entry is not None]
    least = max(each.missed_seconds for each in timed)
    times = [each.shown_seconds for each in timed if each.shown_seconds is not None]
    is_all = len(times) == len(accepted) or (len(times) == len(timed) and equal_posts(contact) == 1)
    return least, max(times) if is_all else None


def is_cut(contact: Contact) -> bool:
    """Whether something is missing that may be on a page that was not read."""
    return not contact.is_whole and not all(each.entry is not None for each in _accepted(contact))


def equal_posts(contact: Contact) -> int | None:
    """How often an activity is shown that was posted twice; once only if the second was looked for long enough."""
    twin = named(contact, "twin")
    if twin is None or twin.fate is not Fate.ACCEPTED:
        return None
    if twin.entry is not None:
        return twin.shown
    is_late = twin.sought_seconds < contact.patience or any(
        each.entry is None for each in _accepted(contact) if each is not twin
    )
    is_seen = contact.is_end_seen or _would_be_beside(contact, twin)
    return 1 if twin.shown and is_seen and not is_late and not contact.has_unrecognisable else None


def _would_be_beside(contact: Contact, twin: Posted) -> bool:
    """Whether the list is sorted by time, and goes on behind the first of two equal ones where the second would be."""
    if order(contact) not in ("newest_created", "oldest_created"):
        return False
    entries = [entry for page in contact.read for entry in page[:-1] if isinstance(entry, dict)]
    return any(twin.post.is_in(entry) for entry in entries)


def _accepted(contact: Contact) -> list[Posted]:
    return [each for each in contact.posted if each.fate is Fate.ACCEPTED]


def order(contact: Contact) -> ListOrder | None:
    """In which order the list is; None where the posts cannot tell."""
    turns = [turn for entry in contact.fresh for turn, each in enumerate(_single(contact)) if each.post.is_in(entry)]
    dates = [_single(contact)[turn].post.activity["created"] for turn in turns]
    by_date = _direction(dates, "oldest_created", "newest_created")
    by_turn = _direction(turns, "oldest_posted", "newest_posted")
    if len({*turns}) < 2 or (by_date and by_turn):
        return None
    return by_date or by_turn or "mixed"


def _single(contact: Contact) -> list[Posted]:
    return [each for each in contact.posted if each.post.name != "twin"]


def _direction(values: list[int], rising: ListOrder, falling: ListOrder) -> ListOrder | None:
    if all(first <= second for first, second in pairwise(values)):
        return rising
    return falling if all(first >= second for first, second in pairwise(values)) else None


def page_size(contact: Contact) -> int | None:
    """How many entries a page has."""
    return listing.page_size_of(contact.pages)


def first_page(contact: Contact) -> Literal[0, 1] | None:
    """The number of the first page."""
    return listing.first_page_of(contact.pages)


def ignores_page(contact: Contact) -> bool | None:
    """Whether each page is the first one."""
    return listing.ignores_page(contact.pages)


# How questions are answered


def form_of(answer: Answer | None) -> AnswerForm | None:
    """How a question is answered, without its words."""
    status = status_of(answer)
    if answer is None or status is None:
        return None
    shape = _shape_of(answer)
    return AnswerForm(status, answer.error[0] if shape else None, shape)


def status_of(answer: Answer | None) -> int | None:
    """The status with which Lofty answered; None where only a gateway before it did, or the rate limit."""
    if answer is None or answer.status in GATEWAY_STATUSES or answer.verdict.meaning is Meaning.RATE_LIMITED:
        return None
    return answer.status


def _shape_of(answer: Answer) -> ErrorShape | None:
    found = answer.json
    if answer.is_html:
        return "html"
    if not answer.body.strip():
        return "empty"
    if isinstance(found, str):
        return "json_string"
    if isinstance(found, dict) and (answer.names_error or (answer.status or 0) >= 400):
        return "embedded" if "errorCode=" in str(found.get("message")) else "code"
    return None if isinstance(found, dict | list) else "text"
