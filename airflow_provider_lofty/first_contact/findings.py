"""What a check has shown: one line for each question, answered only by what was seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

from airflow_provider_lofty.first_contact import facts, owner
from airflow_provider_lofty.first_contact.contact import Contact, entries_in
from airflow_provider_lofty.first_contact.facts import named
from airflow_provider_lofty.first_contact.posts import Fate, Posted
from airflow_provider_lofty.lofty.answers import Answer, Meaning
from airflow_provider_lofty.lofty.errors import status_text
from airflow_provider_lofty.printable import printable
from airflow_provider_lofty.profile.changes import LONG_TEXT, matter, words_for
from airflow_provider_lofty.profile.profile import AnswerKind, ListOrder, ResetReading

_NOT_ASKED = "the check ended before it"
_CUT = "not all pages could be read as one list: what is missing may be on another one"
_UNRECOGNISABLE = "something is shown that may be one of the posts, but not by what"
_ONE_PAGE = "deliveries can read only one page: at leads with more activities rows stay unknown"
_LONGEST_ROLE = 80
_KINDS: dict[AnswerKind, str] = {
    "add_activity": "POST of an activity",
    "list_activities": "GET of activities",
    "get_lead": "GET of a lead",
    "get_me": "GET /v1.0/me",
    "error": "errors",
    "rate_refusal": "refusals for the rate",
}
_UNITS: dict[ResetReading, str] = {
    "milliseconds_left": "milliseconds left",
    "seconds_left": "seconds left",
    "epoch_seconds": "seconds since 1970",
    "epoch_milliseconds": "milliseconds since 1970",
}
_ORDERS: dict[ListOrder, str] = {
    "newest_created": "newest created first",
    "oldest_created": "oldest created first",
    "newest_posted": "newest posted first",
    "oldest_posted": "oldest posted first",
    "mixed": "by nothing that was posted",
}

_TEXTS = {
    "special": "a text with blanks, quotes, emoji and angle brackets",
    "long": f"a text of {LONG_TEXT} characters",
}


class Finding(NamedTuple):
    """
    One question.

    :param answer: what was learned; empty when it is still open
    :param how: by what; or why it is open
    :param follows: what it means for deliveries; empty where it changes nothing
    """

    question: str
    answer: str
    how: str
    follows: str = ""


def findings_of(contact: Contact) -> list[Finding]:
    """Answer what can be answered from what was seen, in printable form: much of it is a server's own words."""
    return [Finding(*map(printable, question(contact))) for question in _QUESTIONS]


# The credential and the rate limit


def _credential(contact: Contact) -> Finding:
    question = "form of the credential"
    how = owner.accepted_by(contact)
    if not how:
        return Finding(question, "", "Lofty accepted no request" if contact.heard else _NOT_ASKED)
    kind = contact.client.settings.auth_type
    header = "Authorization: token …" if kind == "api_key" else "Authorization: Bearer …"
    return Finding(question, f"{kind}: accepted as {header}", how)


def _owner(contact: Contact) -> Finding:
    question = "whose it is"
    account_id = owner.account_id(contact)
    if account_id is None:
        return Finding(question, "", _why_nobody(contact))
    role = (contact.owner or {}).get("roleName")
    details = f"{role[:_LONGEST_ROLE]}, {account_id}" if isinstance(role, str) and role else f"{account_id}"
    return Finding(question, details, "role and id in GET /v1.0/me",
                   "activities are added with this user's permissions")  # fmt: skip


def _why_nobody(contact: Contact) -> str:
    if owner.is_hidden(contact):
        return "this app may not read its owner's profile"
    if contact.owner is not None:
        return "GET /v1.0/me names no usable id"
    answer = contact.owner_answer
    return _NOT_ASKED if answer is None else f"GET /v1.0/me: {contact.failure_of(answer)}"


def _headers(contact: Contact) -> Finding:
    question = "rate headers"
    if not contact.heard:
        return Finding(question, "", _NOT_ASKED)
    has_them, mixed = facts.rate_headers(contact), facts.mixed_rate_headers(contact)
    if not has_them and not mixed:
        return Finding(question, "", "no answer was Lofty's")
    how = f"{len(facts.of_lofty(contact))} answers"
    if not any(has_them.values()) and not mixed:
        return Finding(question, "none", how, "runs learn the limit from refusals; set requests_per_minute to what "
                       "the first one says")  # fmt: skip
    if all(has_them.values()) and not mixed:
        return Finding(question, "on every answer", how)
    with_them, without = (_listed(kind for kind, has in has_them.items() if has is wanted) for wanted in (True, False))
    parts = (
        with_them and f"on {with_them}",
        without and f"not on {without}",
        *(_on_some(contact, kind) for kind in mixed),
    )
    return Finding(question, "; ".join(filter(None, parts)), how)


def _on_some(contact: Contact, kind: AnswerKind) -> str:
    """Say on which answers of a kind they are, by status; without that, only that they are on some."""
    having, lacking = (facts.statuses_with_rate_headers(contact, kind, has=has) for has in (True, False))
    if {*having} & {*lacking}:
        return f"on some {_KINDS[kind]}"
    return f"on {_KINDS[kind]} with {_statuses(having)}, not with {_statuses(lacking)}"


def _statuses(statuses: list[int]) -> str:
    return ", ".join(f"HTTP {status}" for status in statuses)


def _limit(contact: Contact) -> Finding:
    question = "rate limit"
    limits = facts.limits(contact)
    if not limits:
        stated = next((limit for _, answer, _ in facts.of_lofty(contact) if (limit := facts.limit_in(answer))), None)
        too_much = f"X-RateLimit-Limit: {stated:.0f} is too much for a limit" if stated else ""
        return Finding(question, "", too_much or "no answer states it")
    said = {f"{limit:g}" for limit in limits.values()}
    follows = (
        "its window is longer than a minute: the profile has no limit" if facts.is_longer_than_minute(contact) else ""
    )
    if len(said) == 1:
        return Finding(question, f"{said.pop()} a window", "X-RateLimit-Limit", follows)
    each = "; ".join(f"{limit:g} for {_KINDS[kind]}" for kind, limit in limits.items())
    return Finding(question, each, "X-RateLimit-Limit", follows)


def _reset(contact: Contact) -> Finding:
    question, values = "unit of Reset", facts.resets(contact)
    if not values:
        return Finding(question, "", "no answer has a number in X-RateLimit-Reset")
    unit = _UNITS.get(facts.reset_unit(contact) or "nonsense")
    how = f"X-RateLimit-Reset: {values[0][1]:g}" + (f" … {values[-1][1]:g}" if len(values) > 1 else "")
    return Finding(question, unit, how) if unit else Finding(question, "", f"{how} can mean two things")


def _listed(kinds: Iterable[AnswerKind]) -> str:
    return ", ".join(sorted(_KINDS[kind] for kind in kinds))


# What was posted


def _posting(contact: Contact) -> Finding:
    question, how = "posting activities", "POST of an activity"
    if any(each.fate is Fate.ACCEPTED for each in contact.posted):
        return Finding(question, "permitted", how)
    refused = next((each for each in contact.posted if each.is_refused), None)
    if refused is None:
        return Finding(question, "", _why_not(contact, named(contact, "plain")))
    return Finding(question, f"refused: {refused.said}", how, "rows are refused as well; nothing more was posted")


def _empty(contact: Contact) -> Finding:
    question, posted = "empty link and picture", named(contact, "empty")
    if posted is None or posted.fate not in (Fate.ACCEPTED, Fate.REFUSED):
        return Finding(question, "", _why_not(contact, posted))
    if posted.fate is Fate.ACCEPTED:
        return Finding(question, "accepted", "a post without them", 'defaults={"picture": ""} works')
    return Finding(question, f"refused: {posted.said}", "a post without them",
                   "give link and picture a value, from a column or in defaults")  # fmt: skip


def _echo(question: str, name: str, follows: str) -> Callable[[Contact], Finding]:
    def ask(contact: Contact) -> Finding:
        changes = facts.changes(contact, name)
        if changes is None:
            return Finding(question, "", _why_text_is_open(contact) if name == "text" else _why_not_shown(contact))
        how = f"{len(facts.shown(contact))} posts, read back"
        return Finding(question, words_for(changes) or "as sent", how, follows if matter(changes) else "")

    return ask


def _long(contact: Contact) -> Finding:
    question, posted = f"a text of {LONG_TEXT} characters", named(contact, "long")
    if posted is None or posted.fate not in (Fate.ACCEPTED, Fate.REFUSED):
        return Finding(question, "", _why_not(contact, posted))
    if posted.fate is Fate.REFUSED:
        return Finding(question, f"refused: {posted.said}", "a post", "shorten texts in the query")
    return Finding(question, "accepted", "a post")


def _twins(contact: Contact) -> Finding:
    question, twin = "two equal posts", named(contact, "twin")
    if twin is not None and twin.fate is Fate.REFUSED:
        return _refused_repeat(question, twin, is_shown=facts.is_shown_again(contact, twin))
    if twin is None or twin.fate is not Fate.ACCEPTED:
        return Finding(question, "", _why_not(contact, twin))
    times = facts.equal_posts(contact)
    if times is None and facts.is_cut(contact):
        return Finding(question, "", _CUT)
    if times is None:
        return Finding(question, "", f"one of them is shown; the other was not within {twin.sought_seconds:.0f} s"
                       if twin.shown else _why_not_shown(contact))  # fmt: skip
    kept = {1: "kept once", 2: "both kept"}.get(times, f"shown {times} times")
    follows = "" if times == 2 else "reading back cannot tell how often a row was sent"
    return Finding(question, kept, "the same activity posted twice, read back", follows)


def _refused_repeat(question: str, twin: Posted, *, is_shown: bool) -> Finding:
    how = "the same activity posted twice"
    if is_shown:
        return Finding(question, f"the second is refused ({twin.said}), and shown", f"{how}, read back")
    is_doubt = twin.answer is not None and twin.answer.verdict.meaning is Meaning.DOUBT
    follows = "a delivery trusts no such answer: it looks for the row" if is_doubt else "an equal row is refused, too"
    return Finding(question, f"the second is refused: {twin.said}", how, follows)


def _lag(contact: Contact) -> Finding:
    question = "time until shown"
    least, most = facts.lag(contact) or (0.0, None)
    if most is None:
        accepted = any(each.fate is Fate.ACCEPTED for each in contact.posted)
        return Finding(question, "", _why_not_shown(contact) if accepted else _why_not(contact, None))
    settle = contact.client.settings.settle_seconds
    words = f"{least:.1f} to {most:.1f} s" if least else f"at most {most:.1f} s"
    # What was never seen to be missing may have taken no time but the check's own.
    follows = f"set settle_seconds to about {math.ceil(2 * most)}" if least and most > settle else ""
    return Finding(question, words, "looks at growing intervals", follows)


def _order(contact: Contact) -> Finding:
    question, order = "order of the list", facts.order(contact)
    if order is None:
        enough = len(facts.shown(contact)) > 1
        return Finding(question, "", "too few posts are shown to tell" if enough else _why_not_shown(contact))
    follows = "" if order == "newest_created" else "every page is read, whatever its dates"
    how = f"{len(facts.shown(contact))} posts that were not made in the order of their dates"
    return Finding(question, _ORDERS[order], how, follows)


def _page_size(contact: Contact) -> Finding:
    question, pages = "page size", contact.pages
    if facts.ignores_page(contact):
        return Finding(question, "curPage is ignored", "pages 0, 1 and 2 are the same", _ONE_PAGE)
    size, first = facts.page_size(contact), facts.first_page(contact)
    if first == 1:
        count = f", {size} entries each" if size else ""
        return Finding(question, f"pages count from 1{count}", "pages 0 and 1 are the same, page 2 is not", _ONE_PAGE)
    if size is None:
        is_read = len(pages) > 1 and not contact.page_failure
        why = f"the lead has only {len(pages[0])} activities" if is_read else contact.page_failure or _NOT_ASKED
        return Finding(question, "", why)
    return Finding(question, f"{size} entries", "pages 0 and 1",
                   "" if size == 100 else "leads with more activities than that cannot be settled")  # fmt: skip


def _reading(contact: Contact) -> Finding:
    question, answer = "reading activities back", contact.reading
    if answer is None:
        return Finding(question, "", f"not answered: {contact.reading_failure}" if contact.reading_failure
                       else _NOT_ASKED)  # fmt: skip
    if entries_in(answer) is not None:
        return Finding(question, "permitted", "GET of the lead's activities")
    return Finding(question, f"refused: {contact.failure_of(answer)}", "GET of the lead's activities",
                   "a row without a trustworthy answer stays unknown; check_existing finds nothing")  # fmt: skip


# What was provoked


def _missing(contact: Contact) -> Finding:
    return _provoked("answer to a missing lead", contact.missing_lead, "GET of the activities of lead 2^63 - 1")


def _wrong_key(contact: Contact) -> Finding:
    answer = contact.wrong_key
    found = _provoked("answer to a wrong key", answer, "GET /v1.0/me, one letter of the key changed")
    if answer is None or answer.verdict.meaning is Meaning.CREDENTIAL_REFUSED or not found.answer:
        return found
    return found._replace(follows="a wrong or expired key may not be recognised as one")


def _provoked(question: str, answer: Answer | None, how: str) -> Finding:
    if answer is None:
        return Finding(question, "", _NOT_ASKED)
    status = facts.status_of(answer)
    if status is None:
        return Finding(question, "", f"no answer of Lofty's to {how}")
    return Finding(question, status_text(status, answer.error[0]), how)


# Why something is open


def _why_not(contact: Contact, posted: Posted | None) -> str:
    if posted is not None and posted.fate is Fate.UNKNOWN:
        is_lost = posted.answer is None or posted.answer.status is None
        what = "its answer was lost" if is_lost else "its answer does not say whether it was stored"
        return f"{what}{f' ({posted.said})' if posted.said else ''}; it was not posted again"
    if posted is not None and posted.said:
        return posted.said
    stopping = (Fate.UNKNOWN, Fate.NOT_STORED)
    stopped = next((each for each in contact.posted if each.fate in stopping and each.said), None)
    return f"posting stopped before it ({stopped.said})" if stopped else _NOT_ASKED


def _why_text_is_open(contact: Contact) -> str:
    posted = facts.unseen_text(contact)
    if posted is None or posted.fate is Fate.ACCEPTED or not facts.shown(contact):
        return _why_not_shown(contact)
    refused = "refused: " if posted.is_refused else ""
    return f"{_TEXTS[posted.post.name]}: {refused}{_why_not(contact, posted)}"


def _why_not_shown(contact: Contact) -> str:
    if contact.reading_failure:
        return f"reading back fails: {contact.reading_failure}"
    accepted = [each for each in contact.posted if each.fate is Fate.ACCEPTED]
    if not accepted:
        return _why_not(contact, None)
    if not contact.listed and not any(each.sought for each in accepted):
        return _NOT_ASKED
    late = [each for each in accepted if each.entry is None]
    if not late:
        return _why_not(contact, None)
    if facts.is_cut(contact):
        return _CUT
    if contact.has_unrecognisable:
        return _UNRECOGNISABLE
    seconds = max(each.sought_seconds for each in late)
    return f"not all that was posted was shown within {seconds:.0f} s"


_UNPROVEN = "a row whose answer is lost stays unknown: it has to be shown exactly as it was sent"
_QUESTIONS: tuple[Callable[[Contact], Finding], ...] = (
    _credential,
    _owner,
    _headers,
    _limit,
    _reset,
    _reading,
    _posting,
    _empty,
    _long,
    _echo("type, read back", "type", _UNPROVEN),
    _echo("created, read back", "created", _UNPROVEN),
    _echo("text, read back", "text", _UNPROVEN),
    _echo("link, read back", "link", _UNPROVEN),
    _lag,
    _order,
    _page_size,
    _twins,
    _missing,
    _wrong_key,
)


def table(found: list[Finding]) -> str:
    """Write findings for people: what was learned first, then what is still open and why."""
    learned = [_learned(each) for each in found if each.answer]
    still_open = [f"  {each.question:<26} {each.how}" for each in found if not each.answer]
    parts = [("Learned:", learned), ("Still open:", still_open)]
    return "\n\n".join("\n".join([title, *lines]) for title, lines in parts if lines)


def _learned(finding: Finding) -> str:
    line = f"  {finding.question:<26} {finding.answer}  [{finding.how}]"
    return f"{line}\n  {'':<26} → {finding.follows}" if finding.follows else line
