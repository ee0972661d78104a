"""
Controls: what was delivered after a doubtful request, and is shown exactly as it was sent.

A control shows that Lofty would show the doubtful activity, too, if it had stored it. One of the same lead says most:
what shows it shows what was stored there before. One that is shown otherwise than it was sent, or whose lead cannot be
read, proves nothing; the doubts that rely on it are given another.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence

from airflow_provider_lofty.delivery.doubt import MOST_FLAWS, Control, Doubt, Page
from airflow_provider_lofty.delivery.matching import is_altered
from airflow_provider_lofty.lofty.trace import Trace


class Controls:
    """The controls of one run, by type of activity."""

    def __init__(self) -> None:
        # As many as are tried, and one to spare: memory stays flat whatever the input.
        self._delivered: defaultdict[str, deque[Control]] = defaultdict(lambda: deque(maxlen=MOST_FLAWS + 1))
        self._verified: dict[str, Control] = {}
        self._without: defaultdict[str, list[Doubt]] = defaultdict(list)

    def assign(self, doubt: Doubt) -> None:
        """Choose the newest of the controls that were begun when the doubtful request was over: stored after it."""
        fit = (c for c in reversed(self._delivered[doubt.wanted.type]) if c.sent >= doubt.since and not c.flaw)
        doubt.control = next(fit, None)
        if doubt.control is None:
            self._without[doubt.wanted.type].append(doubt)

    def forget(self, doubt: Doubt) -> None:
        """A doubt is over: it needs no control."""
        waiting = self._without.get(doubt.wanted.type, [])
        if doubt in waiting:
            waiting.remove(doubt)

    def delivered(self, wanted: Trace, sent: float, of_lead: Iterable[Doubt]) -> None:
        """
        Learn of a delivered row: the control of earlier doubts of its type.

        :param sent: when its request began
        :param of_lead: the doubts about its own lead
        """
        control = Control(wanted, sent)
        for doubt in of_lead:
            if doubt.own is None and doubt.lead_id == wanted.lead_id and _fits(control, doubt):
                doubt.own, doubt.next_read = control, -math.inf
        controls = self._delivered[wanted.type]
        if controls and controls[-1].sent >= sent:
            return
        controls.append(control)
        waiting = self._without.get(wanted.type)
        if waiting:
            for doubt in waiting:
                if _fits(control, doubt):
                    doubt.control, doubt.next_read = control, -math.inf
            waiting[:] = [doubt for doubt in waiting if doubt.control is None]

    def control_of(self, doubt: Doubt) -> Control | None:
        """The best control there is for a doubt, of whatever lead."""
        verified = self._verified.get(doubt.wanted.type)
        if verified is not None and _fits(verified, doubt) and not verified.flaw:
            return verified
        return doubt.control

    def look_at(
        self,
        page: Page,
        relying: Mapping[Control, Sequence[Doubt]],
        surplus: Sequence[Trace],
        delivered: Mapping[bytes, int],
    ) -> None:
        """
        Learn from a lead's page which controls are shown as they were sent.

        :param relying: controls of this lead, each with the doubts that rely on it
        :param surplus: entries that belong to no row
        :param delivered: trace → how many rows with it were delivered, all of which must be shown
        """
        shown = Counter(entry.trace_hash for entry in page.entries)
        for control, doubts in relying.items():
            if shown[control.wanted.trace_hash] >= max(delivered.get(control.wanted.trace_hash, 0), 1):
                control.verified_at = page.ended
                self._prefer(control)
                continue
            if any(is_altered(control.wanted, entry) for entry in surplus):
                self.spoil(control, doubts, "Lofty does not show activities as they were sent")
                continue
            for doubt in doubts:
                doubt.next_read = page.ended + doubt.pause_seconds

    def spoil(self, control: Control, doubts: Iterable[Doubt], flaw: str) -> None:
        """
        Give the doubts that rely on a control another one, if there is any.

        :param flaw: why the control proves nothing
        """
        control.flaw = flaw
        for doubt in doubts:
            doubt.flaws += 1
            doubt.flaw = flaw
            doubt.next_read = -math.inf
            if doubt.own is control:
                doubt.own, doubt.has_flawed_own = None, True
            if doubt.control is control:
                self.assign(doubt)

    def _prefer(self, control: Control) -> None:
        best = self._verified.get(control.wanted.type)
        if best is None or best.sent < control.sent:
            self._verified[control.wanted.type] = control


def _fits(control: Control, doubt: Doubt) -> bool:
    """Whether a control was begun when the doubtful request was over, and is of the same type."""
    return control.sent >= doubt.since and control.wanted.type == doubt.wanted.type
