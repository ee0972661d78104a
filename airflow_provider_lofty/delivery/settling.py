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
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from airflow_provider_lofty.delivery.controls import Controls
from airflow_provider_lofty.delivery.doubt import Control, Doubt, Page, Proof, Settled
from airflow_provider_lofty.delivery.matching import Match
from airflow_provider_lofty.lofty.trace import Trace

_EARLY_SECONDS = 2.0
_MOST_REFUSALS = 3
_MOST_TIMES_NEAR = 3  # it may be a row of another run, which its journal will know in a moment
_LOOK_SECONDS = 0.05


class Settling:
    """
    The doubts of one run.

    :param controls: what may prove that Lofty shows what it stored
    :param is_proving: whether absence is to be proved; else only what is shown counts
    :param clock: monotonic seconds
    """

    def __init__(self, controls: Controls, *, is_proving: bool, clock: Callable[[], float]) -> None:
        self._controls = controls
        self._is_proving = is_proving
        self._clock = clock
        self._doubts: dict[int, list[Doubt]] = {}
        self._next_look = -math.inf

    def __len__(self) -> int:
        return sum(map(len, self._doubts.values()))

    def _all(self) -> Iterator[Doubt]:
        return chain.from_iterable(self._doubts.values())

    def of_lead(self, lead_id: int) -> Sequence[Doubt]:
        """The doubts about a lead's activities."""
        return self._doubts.get(lead_id, ())

    def oldest(self) -> Doubt | None:
        """The doubt that has waited longest."""
        return min(self._all(), key=lambda doubt: doubt.since, default=None)

    def holds(self, trace_hash: bytes, lead_id: int) -> bool:
        """Whether a row with this trace must wait: beside it, a doubtful one could not be recognised."""
        return any(doubt.wanted.trace_hash == trace_hash for doubt in self._doubts.get(lead_id, ()))

    def add(self, doubt: Doubt) -> None:
        """Take in a doubt."""
        self._doubts.setdefault(doubt.lead_id, []).append(doubt)
        self._controls.assign(doubt)

    # When to read

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
        return doubt.wanted if control.is_verified or is_late or doubt.has_used_up_controls else control.wanted

    def _control_of(self, doubt: Doubt, now: float, is_idle: bool) -> Control | None:
        return self._controls.control_of(doubt, now, may_be_older=is_idle and self._is_proving)

    # What a page says

    def look_at_controls(self, page: Page, surplus: Sequence[Trace], delivered: Mapping[bytes, int]) -> None:
        """
        Learn from a lead's page which controls are shown as they were sent. Comes before :meth:`take`.

        :param surplus: entries that belong to no row
        :param delivered: trace → how many rows with it were delivered, all of which must be shown
        """
        relying = self._relying_on(page.lead_id)
        unseen = {control: doubts for control, doubts in relying.items() if not control.is_verified}
        self._controls.look_at(page, unseen, surplus, delivered)

    def _relying_on(self, lead_id: int) -> dict[Control, list[Doubt]]:
        """The controls that were sent to a lead, each with the doubts that rely on it."""
        relying = defaultdict(list)
        for doubt in self._all():
            if doubt.control is not None and doubt.control.wanted.lead_id == lead_id:
                relying[doubt.control].append(doubt)
        return relying

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
            else:
                doubt.next_read = self._next_read_of(doubt, found, page, is_idle)
        self._drop(settled)
        return settled

    def _next_read_of(self, doubt: Doubt, found: Match, page: Page, is_idle: bool) -> float:
        if doubt.control is None and is_idle and page.started >= doubt.settles_at:
            return doubt.expires_at  # only time can bring a control
        if found is Match.ABSENT and doubt.control is not None and doubt.control.is_verified:
            return page.ended  # the control was seen later than this page was asked for
        return max(page.ended + doubt.pause_seconds, doubt.next_read)

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
        if doubt.has_used_up_controls or (doubt.flaws and control is None and is_idle):
            return Settled(doubt, Proof.NONE, doubt.flaw)
        if control is None:
            if not is_idle or self._controls.may_get_older(doubt.wanted.type):
                return None
            return Settled(doubt, Proof.NONE, f"no other {doubt.wanted.type} activity was delivered, so nothing shows "
                                              "whether Lofty would show this one")  # fmt: skip
        if any(_was_seen_by(page, one) for one in (control, doubt.control) if one is not None):
            return Settled(doubt, Proof.NOT_STORED)
        if page.started >= doubt.expires_at + doubt.settle_seconds:
            return Settled(doubt, Proof.NONE, "Lofty does not show what was delivered after it, either")
        return None

    # What cannot be read

    def failed(self, lead_id: int, reason: str, *, is_refused: bool) -> list[Settled]:
        """
        Learn that a lead could not be read.

        :param is_refused: Lofty answered, but not with the lead's activities
        """
        now = self._clock()
        relying = self._relying_on(lead_id)
        settled = []
        for doubt in dict.fromkeys((*self.of_lead(lead_id), *chain.from_iterable(relying.values()))):
            doubt.refusals += is_refused and doubt.lead_id == lead_id
            doubt.next_read = now + doubt.pause_seconds
            if doubt.refusals >= _MOST_REFUSALS or now >= doubt.expires_at:
                settled.append(Settled(doubt, Proof.NONE, f"reading back failed: {reason}", not is_refused))
        for control, doubts in relying.items() if is_refused else ():
            self._controls.spoil(control, doubts, f"what was delivered after it cannot be read: {reason}")
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
            self._controls.forget(end.doubt)


def _was_seen_by(page: Page, control: Control) -> bool:
    """Whether a control was seen before a page was asked for, or on this very page."""
    is_on_page = control.verified_at == page.ended and control.wanted.lead_id == page.lead_id
    return control.verified_at <= page.started or is_on_page
