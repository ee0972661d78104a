"""
Doubt becomes an outcome: when to read a lead back, and what its page proves.

That an activity is shown proves that it was stored. That it is not shown proves nothing by itself: Lofty may show it
later, or otherwise than it was sent. So "not stored" needs all of these: enough time has passed; an activity of the
same type that was delivered *after* the doubtful request, the *control*, is shown exactly as it was sent; the page read
after that is whole; and nothing on it is nearly what is sought.

All times are in seconds of the clock that is given; nothing here sleeps or makes a request.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain
from typing import NamedTuple

from airflow_provider_lofty.delivery.matching import Match, is_altered
from airflow_provider_lofty.journal.journal import Intent
from airflow_provider_lofty.lofty.trace import Trace
from airflow_provider_lofty.spool.spool import PendingRow, Result

PATIENCE = 10  # so many settle times are the longest wait for any proof
_EARLY_SECONDS = 2.0
_MOST_REFUSALS = 3
_MOST_FLAWS = 3  # controls that are tried
_MOST_TIMES_NEAR = 3  # it may be a row of another run, which its journal will know in a moment
_PAUSE = 0.5  # of a settle time, between two looks at the same
_LOOK_SECONDS = 0.05


class Proof(Enum):
    """What reading back proved about a doubtful row."""

    STORED = "stored"
    NOT_STORED = "not stored"
    NONE = "nothing"


@dataclass(frozen=True)
class Settled:
    """
    The end of a doubt.

    :param reason: why nothing could be proved
    :param may_settle_later: whether another try could prove more
    """

    doubt: Doubt
    proof: Proof
    reason: str = ""
    may_settle_later: bool = False


@dataclass(eq=False)
class Control:
    """An activity that was delivered, and whether Lofty shows it as it was sent."""

    wanted: Trace
    sent: float
    verified_at: float = math.inf
    flaw: str = ""  # why it proves nothing

    @property
    def is_verified(self) -> bool:
        """Whether it was seen as it was sent."""
        return self.verified_at < math.inf


@dataclass(eq=False)
class Doubt:
    """
    A row that was sent, nobody knows with what success.

    :param row: None when the input has it no more
    :param sent: when its request began; ``-inf`` when that was in another process
    :param since: when its request ended, or when this process learned of it
    :param settle_seconds: how long after ``since`` its absence begins to count
    :param said: what is to be reported of it as long as nothing is proved
    """

    intent: Intent
    row: PendingRow | None
    sent: float
    since: float
    settle_seconds: float
    said: Result | None = None
    control: Control | None = None
    flaws: int = 0  # controls that proved useless, and
    flaw: str = ""  # why
    was_read: bool = False
    times_near: int = 0
    refusals: int = 0
    next_read: float = field(default=-math.inf)

    @property
    def is_from_before(self) -> bool:
        """Whether an earlier try sent it."""
        return self.sent == -math.inf

    @property
    def wanted(self) -> Trace:
        """What to look for."""
        return self.intent.trace

    @property
    def lead_id(self) -> int:
        """The lead that it was sent to."""
        return self.intent.trace.lead_id

    @property
    def settles_at(self) -> float:
        """When its absence begins to count."""
        return self.since + self.settle_seconds

    @property
    def expires_at(self) -> float:
        """When to give up."""
        return self.since + PATIENCE * self.settle_seconds


class Page(NamedTuple):
    """
    What Lofty showed of a lead.

    :param started: when it was asked for
    :param ended: when it was there
    """

    lead_id: int
    entries: Sequence[Trace]
    is_complete: bool
    started: float
    ended: float


class Settling:
    """
    The doubts of one run.

    :param older_control: finds a row of this type that was delivered before, for want of a newer one
    :param is_proving: whether absence is to be proved; else only what is shown counts
    :param clock: monotonic seconds
    """

    def __init__(
        self, older_control: Callable[[str], Trace | None], *, is_proving: bool, clock: Callable[[], float]
    ) -> None:
        self._older_control = older_control
        self._is_proving = is_proving
        self._clock = clock
        self._doubts: dict[int, list[Doubt]] = {}
        self._without_control: defaultdict[str, list[Doubt]] = defaultdict(list)
        self._verified: dict[str, Control] = {}
        self._controls: defaultdict[str, deque[Control]] = defaultdict(lambda: deque(maxlen=_MOST_FLAWS + 1))
        self._next_look = -math.inf

    def __len__(self) -> int:
        return sum(map(len, self._doubts.values()))

    def _all(self) -> Iterator[Doubt]:
        return chain.from_iterable(self._doubts.values())

    def holds(self, trace_hash: bytes, lead_id: int) -> bool:
        """Whether a row with this trace must wait: beside it, a doubtful one could not be recognised."""
        return any(doubt.wanted.trace_hash == trace_hash for doubt in self._doubts.get(lead_id, ()))

    def add(self, doubt: Doubt) -> None:
        """Take in a doubt."""
        self._doubts.setdefault(doubt.lead_id, []).append(doubt)
        self._give_control(doubt)

    def _give_control(self, doubt: Doubt) -> None:
        """Choose the newest of the controls that were begun when the doubtful request was over: stored after it."""
        fit = (c for c in reversed(self._controls[doubt.wanted.type]) if c.sent >= doubt.since and not c.flaw)
        doubt.control = next(fit, None)
        if doubt.control is None:
            self._without_control[doubt.wanted.type].append(doubt)

    def delivered(self, wanted: Trace, sent: float) -> None:
        """Learn of a delivered row: the control of earlier doubts of its type."""
        controls = self._controls[wanted.type]
        if controls and controls[-1].sent >= sent:
            return
        control = Control(wanted, sent)
        controls.append(control)
        waiting = self._without_control.get(wanted.type)
        if waiting:
            for doubt in waiting:
                if doubt.since <= sent:
                    doubt.control, doubt.next_read = control, -math.inf
            waiting[:] = [doubt for doubt in waiting if doubt.control is None]

    def oldest(self) -> Doubt | None:
        """The doubt that has waited longest."""
        return min(self._all(), key=lambda doubt: doubt.since, default=None)

    def next_read(self, busy: Collection[int], is_idle: bool) -> Trace | None:
        """
        What to read back now, if anything: a lead, and how far.

        :param busy: leads that are being read already
        :param is_idle: nothing is left to send, so that no newer control will come
        """
        now = self._clock()
        if now < self._next_look:
            return None
        for doubt in (doubt for doubt in self._all() if doubt.next_read <= now):
            found = self._read_for(doubt, now, is_idle)
            if found is not None and found.lead_id not in busy:
                return found
        self._next_look = now + _LOOK_SECONDS
        return None

    def _read_for(self, doubt: Doubt, now: float, is_idle: bool) -> Trace | None:
        if now < doubt.settles_at:
            early = doubt.since + min(_EARLY_SECONDS, doubt.settle_seconds / 4)
            return doubt.wanted if is_idle and not doubt.was_read and now >= early else None
        control = self._control_of(doubt, now, is_idle)
        if control is None:
            return doubt.wanted if is_idle or not self._is_proving else None
        is_late = now >= doubt.expires_at + doubt.settle_seconds
        return doubt.wanted if control.is_verified or is_late or doubt.flaws >= _MOST_FLAWS else control.wanted

    def _control_of(self, doubt: Doubt, now: float, is_idle: bool) -> Control | None:
        """The best control there is for a doubt; an older one will do after a long time."""
        kind = doubt.wanted.type
        verified = self._verified.get(kind)
        if verified is not None and verified.sent >= doubt.since:
            return verified
        if doubt.control is not None or not is_idle or not self._is_proving or doubt.flaws:
            return doubt.control
        if now >= doubt.expires_at:
            controls = self._controls[kind]
            if not controls and (wanted := self._older_control(kind)) is not None:
                controls.append(Control(wanted, -math.inf))
            doubt.control = next((control for control in reversed(controls) if not control.flaw), None)
        return doubt.control

    def of_lead(self, lead_id: int) -> Sequence[Doubt]:
        """The doubts about a lead's activities."""
        return self._doubts.get(lead_id, ())

    def look_at_controls(self, page: Page, surplus: Sequence[Trace], delivered: Mapping[bytes, int]) -> None:
        """
        Learn from a lead's page which controls are shown as they were sent.

        :param surplus: entries that belong to no row
        :param delivered: trace → how many rows with it were delivered, all of which must be shown
        """
        shown = Counter(entry.trace_hash for entry in page.entries)
        relying = defaultdict(list)
        for doubt in self._all():
            control = doubt.control
            if control is not None and control.wanted.lead_id == page.lead_id and not control.is_verified:
                relying[control].append(doubt)
        for control, doubts in relying.items():
            if shown[control.wanted.trace_hash] >= max(delivered.get(control.wanted.trace_hash, 0), 1):
                control.verified_at = page.ended
                self._prefer(control)
                continue
            if any(is_altered(control.wanted, entry) for entry in surplus):
                self._spoil(control, doubts, "Lofty does not show activities as they were sent")
                continue
            for doubt in doubts:
                doubt.next_read = page.ended + doubt.settle_seconds * _PAUSE

    def _spoil(self, control: Control, doubts: Iterable[Doubt], flaw: str) -> None:
        """Give the doubts that rely on a control another one, if there is any."""
        control.flaw = flaw
        for doubt in doubts:
            doubt.flaws += 1
            doubt.flaw = flaw
            doubt.next_read = -math.inf
            self._give_control(doubt)

    def _prefer(self, control: Control) -> None:
        best = self._verified.get(control.wanted.type)
        if best is None or best.sent < control.sent:
            self._verified[control.wanted.type] = control

    def take(self, page: Page, matches: Mapping[Doubt, Match], *, is_idle: bool) -> list[Settled]:
        """
        Learn what a lead's page says of its doubts.

        :param matches: of those doubts that were there when the page was asked for
        """
        settled = []
        for doubt, found in matches.items():
            doubt.was_read = True
            end = self._judge(doubt, found, page, is_idle)
            if end is not None:
                settled.append(end)
            elif doubt.control is None and is_idle and page.started >= doubt.settles_at:
                doubt.next_read = doubt.expires_at  # only time can bring a control
            elif found is Match.ABSENT and doubt.control is not None and doubt.control.is_verified:
                doubt.next_read = page.ended  # the control was seen later than this page was asked for
            else:
                doubt.next_read = max(page.ended + doubt.settle_seconds * _PAUSE, doubt.next_read)
        self._drop(settled)
        return settled

    def _judge(self, doubt: Doubt, found: Match, page: Page, is_idle: bool) -> Settled | None:
        if found is Match.FOUND:
            return Settled(doubt, Proof.STORED)
        if page.started < doubt.settles_at:
            return None
        if not self._is_proving:
            return Settled(doubt, Proof.NONE, "Lofty does not show it")
        if not page.is_complete:
            return Settled(doubt, Proof.NONE, "its lead has too many activities to look for it")
        if found is Match.NEAR:
            doubt.times_near += 1
            is_last = doubt.times_near >= _MOST_TIMES_NEAR
            return Settled(doubt, Proof.NONE, "Lofty shows one that is nearly the same") if is_last else None
        return self._judge_absence(doubt, page, is_idle)

    def _judge_absence(self, doubt: Doubt, page: Page, is_idle: bool) -> Settled | None:
        control = self._control_of(doubt, page.started, is_idle)
        if doubt.flaws >= _MOST_FLAWS or (doubt.flaws and control is None and is_idle):
            return Settled(doubt, Proof.NONE, doubt.flaw)
        if control is None:
            if not is_idle or self._may_get_older_control(doubt.wanted.type):
                return None
            return Settled(doubt, Proof.NONE, f"no other {doubt.wanted.type} activity was delivered, so nothing shows "
                                              "whether Lofty would show this one")  # fmt: skip
        if any(_was_seen_by(page, one) for one in (control, doubt.control) if one is not None):
            return Settled(doubt, Proof.NOT_STORED)
        if page.started >= doubt.expires_at + doubt.settle_seconds:
            return Settled(doubt, Proof.NONE, "Lofty does not show what was delivered after it, either")
        return None

    def _may_get_older_control(self, kind: str) -> bool:
        controls = self._controls[kind]
        return any(not control.flaw for control in controls) or (not controls and self._older_control(kind) is not None)

    def failed(self, lead_id: int, reason: str, *, is_refused: bool) -> list[Settled]:
        """
        Learn that a lead could not be read.

        :param is_refused: Lofty answered, but not with the lead's activities
        """
        now = self._clock()
        settled = []
        relying = defaultdict(list)
        for doubt in self._all():
            if doubt.control is not None and doubt.control.wanted.lead_id == lead_id:
                relying[doubt.control].append(doubt)
        for doubt in dict.fromkeys((*self.of_lead(lead_id), *chain.from_iterable(relying.values()))):
            doubt.refusals += is_refused and doubt.lead_id == lead_id
            doubt.next_read = now + doubt.settle_seconds * _PAUSE
            if doubt.refusals >= _MOST_REFUSALS or now >= doubt.expires_at:
                settled.append(Settled(doubt, Proof.NONE, f"reading back failed: {reason}", not is_refused))
        for control, doubts in relying.items() if is_refused else ():
            self._spoil(control, doubts, f"what was delivered after it cannot be read: {reason}")
        self._drop(settled)
        return settled

    def give_up(self, reason: str) -> list[Settled]:
        """End every doubt: reading back is not permitted."""
        settled = [Settled(doubt, Proof.NONE, reason) for doubt in self._all()]
        self._drop(settled)
        return settled

    def _drop(self, settled: Iterable[Settled]) -> None:
        for end in settled:
            doubts = self._doubts[end.doubt.lead_id]
            doubts.remove(end.doubt)
            if not doubts:
                del self._doubts[end.doubt.lead_id]
            waiting = self._without_control.get(end.doubt.wanted.type, [])
            if end.doubt in waiting:
                waiting.remove(end.doubt)


def _was_seen_by(page: Page, control: Control) -> bool:
    """Whether a control was seen before a page was asked for, or on this very page."""
    is_on_page = control.verified_at == page.ended and control.wanted.lead_id == page.lead_id
    return control.verified_at <= page.started or is_on_page
