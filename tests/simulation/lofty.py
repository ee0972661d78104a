"""
A model of Lofty: what it stores, when it shows it, and what it answers.

Each activity carries in its ``picture`` which row it is of. Reading back does not show pictures, so the package cannot
use it; the invariants do.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import parse_qsl

from simulation.history import History
from simulation.network import Link, Request
from simulation.scheduler import Scheduler

PAGE = 100
_SHOWN = ("type", "created", "text", "link")
_WINDOW = 60.0


@dataclass(frozen=True)
class Move:
    """
    Somebody changes whose an address is.

    :param kind: ``moves`` to another lead, is ``shared`` with it, ``goes``, or its lead is ``merged`` into that
    """

    at: float
    kind: str
    person: str
    lead_id: int


@dataclass(frozen=True)
class LoftySettings:
    """
    How Lofty behaves. Shares are of requests, times in seconds.

    :param latency: one way, at most
    :param lag: how long until an activity is shown, at most; each has its own
    :param constant_lag: the same for all activities, beside it
    :param slow_leads: leads whose pages lag behind by so much more
    :param replicas: each shows an activity after a lag of its own
    :param lost: of POSTs, stored, without an answer: time-out or reset
    :param swallowed: not stored, without an answer
    :param errors: 5xx, of which half are stored
    :param late: of the stored ones without an answer: how much later they are, at most
    :param nonsense: stored, answered with something that is no answer
    :param refused: connections that cannot be made
    :param unreadable: of GETs: 500, time-out or reset
    :param outages: from when to when nothing is answered
    :param until: from then on nothing goes wrong by chance
    :param limit: POSTs a minute; None: never named and never reached
    :param rejected: rows that are refused
    :param missing: leads that do not exist
    :param merged: lead → the one it became a part of, before the world begins
    :param merges: when, and which lead becomes a part of which
    :param names_leads: Lofty tells which lead a lead is; else this credential may not see that
    :param contradictions: of POSTs, not stored: 200 with a lead's id, and an error beside it
    :param interim: of POSTs: an interim answer comes first
    :param alters: leads that show entries otherwise than they were sent, and how
    :param shifts: entries of others that come while a lead is paged
    :param others: leads that have so many activities of somebody else from the start, and
    :param newer: such that stand above all of ours
    :param foreign: leads and single activities of somebody else
    :param people: e-mail addresses, and the leads that have them from the start
    :param crowd: so many other leads, so that a list of all has several pages
    :param moves: when an address is taken from its leads, and which lead has it from then on; 0: none. A lead that is
        ``merged`` by this goes into the other one, with its activities
    """

    latency: float = 0.05
    lag: float = 0.0
    constant_lag: float = 0.0
    slow_leads: tuple[tuple[int, float], ...] = ()
    replicas: int = 1
    lost: float = 0.0
    swallowed: float = 0.0
    errors: float = 0.0
    late: float = 0.0
    nonsense: float = 0.0
    refused: float = 0.0
    unreadable: float = 0.0
    outages: tuple[tuple[float, float], ...] = ()
    until: float = 1e9
    limit: int | None = 600
    rejected: frozenset[str] = frozenset()
    missing: frozenset[int] = frozenset()
    merged: tuple[tuple[int, int], ...] = ()
    merges: tuple[tuple[float, int, int], ...] = ()
    names_leads: bool = True
    contradictions: float = 0.0
    interim: float = 0.0
    alters: tuple[tuple[int, str], ...] = ()
    shifts: int = 0
    others: tuple[tuple[int, int], ...] = ()
    newer: tuple[tuple[int, int], ...] = ()
    foreign: tuple[tuple[int, tuple[tuple[str, Any], ...]], ...] = ()
    people: tuple[tuple[str, int], ...] = ()
    crowd: int = 0
    moves: tuple[Move, ...] = ()


NO_FAULTS = LoftySettings()


@dataclass(frozen=True)
class Fate:
    """
    What becomes of a POST.

    :param stores: whether it is stored, and
    :param late: how much later than it arrived
    :param answer: what comes back; None: nothing ever
    :param is_reset: the connection is reset instead
    :param has_interim: an interim answer comes first
    :param seconds: how long the answer takes, at least
    """

    name: str = ""
    stores: bool = True
    late: float = 0.0
    answer: bytes | None = b""
    is_reset: bool = False
    has_interim: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class Stored:
    """
    An activity at Lofty.

    :param row: whose it is; None for one of somebody else
    :param asked: the lead it was sent to
    :param sender: the process that sent it, and
    :param arrived: when that came here
    :param shown_at: from when on each replica shows it
    """

    entry: dict[str, Any]
    row: str | None
    asked: int
    shown_at: tuple[float, ...]
    sender: str = ""
    arrived: float = 0.0


@dataclass
class _Window:
    began: float = 0.0
    taken: int = 0


class Lofty:
    """
    :param script: fates of the first POSTs, for worlds that are directed; then chance decides
    """

    def __init__(
        self, settings: LoftySettings, scheduler: Scheduler, history: History, rng: Random,
        script: tuple[Fate | None, ...] = (),
    ) -> None:  # fmt: skip
        self.settings = settings
        self._scheduler = scheduler
        self._history = history
        self._rng = rng
        self._script = list(script)
        self._leads: dict[int, list[Stored]] = {}
        self._window = _Window()
        self._shifts = settings.shifts
        self.posts = self.reads = 0
        self.faults: Counter[str] = Counter()
        for many, first in ((settings.others, 1_700_000_000_000), (settings.newer, 1_900_000_000_000)):
            for lead_id, count in many:
                for n in range(count):
                    self._store_foreign(lead_id, created=first + n * 7_200_000, text=f"someone {n}")
        for lead_id, entry in settings.foreign:
            self._store_foreign(lead_id, **dict(entry))
        self._merged = dict(settings.merged)
        self._owners: dict[int, set[str]] = {10_000 + n: {f"other-{n}@example.com"} for n in range(settings.crowd)}
        self.ever_alone: set[tuple[str, int]] = set()  # whoever had an address alone, at some time
        for person, lead_id in settings.people:
            self._owners.setdefault(lead_id, set()).add(person)
        self._remember_owners()
        for move in settings.moves:
            scheduler.at(move.at, self._move, move)
        for at, lead_id, into in settings.merges:
            scheduler.at(at, self._merge, lead_id, into)

    # What is there

    def ours(self) -> Iterator[Stored]:
        """What rows of this world have become."""
        return (one for found in self._leads.values() for one in found if one.row is not None)

    def _store(self, lead_id: int, body: dict[str, Any], sender: str, arrived: float) -> None:
        row = body["picture"].rpartition("/")[2]
        entry = {name: body[name] for name in _SHOWN}
        now, settings, rng = self._scheduler.now, self.settings, self._rng
        lag = settings.constant_lag + dict(settings.slow_leads).get(lead_id, 0.0)
        shown_at = tuple(now + lag + rng.random() * settings.lag for _ in range(settings.replicas))
        self._leads.setdefault(self.lead(lead_id), []).append(Stored(entry, row, lead_id, shown_at, sender, arrived))
        self._note("stores %s at lead %d, shown %s", row, lead_id, ", ".join(f"{at:.1f}" for at in shown_at))

    def _store_foreign(self, lead_id: int, **entry: Any) -> None:
        entry = {"type": "Browse", "link": "", **entry}
        self._leads.setdefault(lead_id, []).append(Stored(entry, None, lead_id, (0.0,) * self.settings.replicas))

    def lead(self, lead_id: Any) -> Any:
        """Tell which lead this one has become a part of."""
        while lead_id in self._merged:
            lead_id = self._merged[lead_id]
        return lead_id

    # Whose addresses are

    def _remember_owners(self) -> None:
        counts = Counter(person for persons in self._owners.values() for person in persons)
        for lead_id, persons in self._owners.items():
            self.ever_alone.update((person, lead_id) for person in persons if counts[person] == 1)

    def _move(self, move: Move) -> None:
        owners = [lead_id for lead_id, persons in self._owners.items() if move.person in persons]
        self._note("%s %s: %s → %d", move.person, move.kind, owners, move.lead_id)
        if move.kind == "merged":
            for lead_id in owners:
                self._merge(lead_id, move.lead_id)
        else:
            for lead_id in owners if move.kind != "shared" else ():
                self._owners[lead_id].discard(move.person)
            if move.kind != "goes":
                self._owners.setdefault(move.lead_id, set()).add(move.person)
        self._remember_owners()

    def _merge(self, lead_id: int, into: int) -> None:
        """A lead becomes a part of another one, with all that it has."""
        one, other = self.lead(lead_id), self.lead(into)
        if one == other:
            return
        self._note("lead %d becomes a part of %d", one, other)
        self._merged[one] = other
        self._leads.setdefault(other, []).extend(self._leads.pop(one, []))
        if persons := self._owners.pop(one, set()):
            self._owners.setdefault(other, set()).update(persons)
        self._remember_owners()

    def _find(self, link: Link, request: Request) -> None:
        query = dict(parse_qsl(request.path.partition("?")[2]))
        self._note("GET of leads: %s", query)
        if self._is_down():
            return
        if self._strikes(self.settings.unreadable):
            self.faults["unreadable"] += 1
            self._fail_read(link)
            return
        wanted = query.get("email")
        found = [lead_id for lead_id, persons in self._owners.items() if wanted is None or wanted in persons]
        start = int(query.get("scrollId") or query.get("offset") or 0)
        shown = found[start : start + PAGE]
        end = start + PAGE
        metadata = {"total": len(found), "scrollId": str(end) if end < len(found) else ""}
        leads = [{"leadId": lead_id, "emails": sorted(self._owners[lead_id])} for lead_id in shown]
        link.answer(self._rng.random() * 0.1, _response(200, {"_metadata": metadata, "leads": leads}))

    # What is asked

    def opens(self) -> float | OSError:
        """How long a new connection takes, or why there is none."""
        if self._is_down():
            return TimeoutError("timed out")
        if self._strikes(self.settings.refused):
            self.faults["refused"] += 1
            return ConnectionRefusedError("refused")
        return self._rng.random() * self.settings.latency

    def latency(self) -> float:
        return self._rng.random() * self.settings.latency

    def arrived(self, link: Link, request: Request) -> None:
        """Take a request in."""
        if request.method == "POST":
            self._post(link, request)
        elif request.path.startswith("/v1.0/leads?"):
            self._find(link, request)
        else:
            self._read(link, request)

    def _post(self, link: Link, request: Request) -> None:
        self.posts += 1
        body = json.loads(request.body)
        lead_id = int(request.path.split("/")[3])
        row = body["picture"].rpartition("/")[2]
        refusal = self._refusal(lead_id, row)
        fate = refusal or self._fate(lead_id)
        self._note("POST of %s: %s", row, fate.name or "as it should be")
        self.faults[fate.name] += 1
        if fate.stores:
            self._scheduler.after(fate.late, self._store, lead_id, body, link.process.name, self._scheduler.now)
        if fate.is_reset:
            link.close(0, is_reset=True)
        elif fate.answer is not None:
            if fate.has_interim or self._strikes(self.settings.interim):
                link.answer(0, b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n")
                self._note("after an interim answer")
            ok = _response(200, {"leadId": self.lead(lead_id)}, self._rate_headers())
            link.answer(fate.seconds + self._rng.random() * 0.1, fate.answer or ok)

    def _refusal(self, lead_id: int, row: str) -> Fate | None:
        if self._is_down():
            return Fate("down", stores=False, answer=None)
        if self._is_over_limit():
            said = {"code": 429, "message": "Too many requests"}
            return Fate("rate", stores=False, answer=_response(429, said, self._rate_headers()))
        if self.lead(lead_id) in self.settings.missing:
            return Fate("missing lead", stores=False, answer=_response(404, {"code": 20006, "message": "NOT_FOUND"}))
        if row in self.settings.rejected:
            return Fate("rejected", stores=False, answer=_response(400, {"code": 20012, "message": "INVALID"}))
        return None

    def _fate(self, lead_id: int) -> Fate:
        if self._script:
            return self._script.pop(0) or Fate()
        settings, rng = self.settings, self._rng
        chances: tuple[tuple[float, Callable[[], Fate]], ...] = (
            (settings.lost, lambda: Fate("lost", late=self._late(), answer=None, is_reset=rng.random() < 0.5)),
            (settings.swallowed, lambda: Fate("swallowed", stores=False, answer=None, is_reset=rng.random() < 0.5)),
            (settings.errors, self._error),
            (settings.nonsense, lambda: Fate("nonsense", answer=_response(200, {"ok": "?"}))),
            (settings.contradictions, lambda: contradiction(rng.choice(CONTRADICTIONS)(lead_id))),
        )
        if self._scheduler.now >= settings.until:
            return Fate()
        drawn = rng.random()
        for share, fate in chances:
            drawn -= share
            if drawn < 0:
                return fate()
        return Fate()

    def _late(self) -> float:
        return self._rng.random() * self.settings.late

    def _error(self) -> Fate:
        status, stores = self._rng.choice((500, 502, 503, 504)), self._rng.random() < 0.5
        name = f"{status} {'stored' if stores else 'not stored'}"
        return Fate(name, stores=stores, late=self._late(), answer=_response(status, {"message": "oops"}))

    def _read(self, link: Link, request: Request) -> None:
        self.reads += 1
        lead_id = int(request.path.split("/")[3])
        if self._is_down():
            return
        if self._strikes(self.settings.unreadable):
            self.faults["unreadable"] += 1
            self._note("GET of lead %d fails", lead_id)
            self._fail_read(link)
            return
        if self.lead(lead_id) in self.settings.missing:
            link.answer(0, _response(404, {"code": 20006, "message": "NOT_FOUND"}))
            return
        if "/activities" not in request.path:
            self._tell_lead(link, lead_id)
            return
        number = int(request.path.rpartition("curPage=")[2])
        entries = self._shown(self.lead(lead_id))
        page = entries[number * PAGE : (number + 1) * PAGE]
        self._note("GET of lead %d, page %d: %d entries", lead_id, number, len(page))
        how = dict(self.settings.alters).get(lead_id, "")
        link.answer(self._rng.random() * 0.1, _response(200, [_altered(one, how) for one in page]))
        if len(page) == PAGE and self._shifts:
            self._shifts -= 1
            self._shift(lead_id)

    def _tell_lead(self, link: Link, lead_id: int) -> None:
        self._note("GET of lead %d itself", lead_id)
        refusal = _response(403, {"code": 200100, "message": "the vendor does not have permission"})
        link.answer(
            0, _response(200, {"lead": {"leadId": self.lead(lead_id)}}) if self.settings.names_leads else refusal
        )

    def _fail_read(self, link: Link) -> None:
        kind = self._rng.randrange(3)
        if kind == 0:
            link.answer(0, _response(500, {"message": "oops"}))
        elif kind == 1:
            link.close(0, is_reset=True)

    def _shown(self, lead_id: int) -> list[dict[str, Any]]:
        replica = self._rng.randrange(self.settings.replicas)
        now = self._scheduler.now
        found = [one.entry for one in self._leads.get(lead_id, ()) if one.shown_at[replica] <= now]
        return sorted(found, key=lambda entry: -entry["created"])

    def _shift(self, lead_id: int) -> None:
        """Somebody looks at a home while the lead is paged: every entry moves down by one."""
        self._store_foreign(lead_id, created=1_950_000_000_000 + self._shifts, text=f"new {self._shifts}")
        self._note("an entry of somebody else comes to lead %d", lead_id)

    # Weather

    def _is_down(self) -> bool:
        return any(begin <= self._scheduler.now < end for begin, end in self.settings.outages)

    def _strikes(self, share: float) -> bool:
        return share > 0 and self._scheduler.now < self.settings.until and self._rng.random() < share

    def _is_over_limit(self) -> bool:
        limit = self.settings.limit
        if limit is None:
            return False
        now = self._scheduler.now
        if now >= self._window.began + _WINDOW:
            self._window = _Window(now - now % _WINDOW)
        self._window.taken += 1
        return self._window.taken > limit

    def _rate_headers(self) -> dict[str, str]:
        if self.settings.limit is None:
            return {}
        left = max(self.settings.limit - self._window.taken, 0)
        reset = self._window.began + _WINDOW - self._scheduler.now
        return {
            "X-RateLimit-Limit": str(self.settings.limit),
            "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Reset": f"{max(reset, 0):.0f}",
        }

    def _note(self, what: str, *values: Any) -> None:
        self._history.note(self._scheduler.now, "Lofty", what, *values)


CONTRADICTIONS: tuple[Callable[[int], dict[str, Any]], ...] = (
    lambda lead_id: {"code": 20012, "message": "INVALID_PARAMETER", "leadId": lead_id},
    lambda lead_id: {"leadId": 0},
    lambda lead_id: {"leadId": -1},
)


def contradiction(said: dict[str, Any]) -> Fate:
    """Not stored, answered with 200 and something that an eager reader takes for a lead's id."""
    return Fate("contradiction", stores=False, answer=_response(200, said))


def error(status: int, *, stores: bool, late: float = 0.0) -> Fate:
    """A fate for a script."""
    return Fate(
        f"{status}, {'stored' if stores else 'not stored'}", stores, late, _response(status, {"message": "oops"})
    )


def _response(status: int, said: Any, headers: dict[str, str] | None = None) -> bytes:
    body = json.dumps(said).encode()
    lines = [
        f"HTTP/1.1 {status} Said",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


ALTERATIONS = ("created as text", "created in seconds", "created an hour off", "type in lower case", "text escaped")


def _altered(entry: dict[str, Any], how: str) -> dict[str, Any]:
    if how == "created as text":
        return {**entry, "created": str(entry["created"])}
    if how == "created in seconds":
        return {**entry, "created": entry["created"] // 1000}
    if how == "created an hour off":
        return {**entry, "created": entry["created"] + 3_600_000}
    if how == "type in lower case":
        return {**entry, "type": entry["type"].lower()}
    if how == "text escaped":
        return {**entry, "text": entry["text"].replace("'", "&#39;"), "link": entry["link"].replace("&", "&amp;")}
    return entry
