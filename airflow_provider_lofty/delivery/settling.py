"""
Doubt becomes an outcome: when to read a lead back, and what its page proves.

That an activity is shown proves that it was stored. That it is not shown proves nothing by itself: Lofty may store it
later, show it later, or not as it was sent. So "not stored" needs all of these: :data:`ABSENCE` settle times have
passed; the lead was read as a whole, and shows all that is known to have been delivered there before; an activity of
the same type that was delivered *after* the doubtful request, the *control*, is shown exactly as it was sent; and
nothing that is shown is nearly what is sought. A control of the same lead proves it on the very page. Where the lead
has no row left to be one, a control of another lead has to do, and two readings as many settle times apart.

All times are in seconds of the clock that is given; nothing here sleeps or makes a request.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from airflow_provider_lofty.delivery.controls import Controls
from airflow_provider_lofty.delivery.doubt import Control, Doubt, Page, Proof, Settled, View
from airflow_provider_lofty.delivery.matching import Match, reach_of
from airflow_provider_lofty.lofty.settings import ABSENCE
from airflow_provider_lofty.lofty.trace import Trace

_EARLY_SECONDS = 2.0
_MOST_REFUSALS = 3
_MOST_TIMES_UNDECIDED = 3  # it may be a row of another run, which its journal will know in a moment
_LOOK_SECONDS = 0.05
_REASONS = {
    Match.NEAR: "Lofty shows one that is nearly the same (with journal_conn_id it is known which rows others sent)",
    Match.UNCLEAR: "Lofty shows it, or a row of another run that looks the same",
    Match.SHARED: "Lofty shows it, or the same activity of another lead: nothing tells whether the two were merged",
    Match.UNREADABLE: "Lofty shows an activity of its lead that cannot be read",
    Match.ABSENT: "its lead has too many activities, or too many that change, to look for it",
}


@dataclass(eq=False)
class Reading:
    """
    A lead's page, and what is known of the lead besides.

    :param surplus: entries that belong to no row
    :param delivered: trace → how many rows with it were delivered, all of which must be shown
    :param shows_all: whether it shows all that was delivered there before this moment, as far as it concerns a doubt
    """

    page: Page
    surplus: Sequence[Trace]
    delivered: Mapping[bytes, int]
    shows_all: Callable[[Doubt, float], bool]

    def shows(self, wanted: Trace) -> bool:
        """Whether it shows this activity, and its twins as often as they were delivered."""
        return self._times[wanted.trace_hash] >= max(self.delivered.get(wanted.trace_hash, 0), 1)

    @cached_property
    def _times(self) -> Counter[bytes]:
        return Counter(entry.trace_hash for entry in self.page.entries)


class Settling:
    """
    The doubts of one run.

    :param controls: what may prove that Lofty shows what it stored
    :param is_proving: whether absence is to be proved; else only what is shown counts
    :param send_soon: sees to it that a row of a doubt's lead and type is sent next; tells whether there is one
    :param clock: seconds, which also pass while the machine is suspended
    """

    def __init__(
        self,
        controls: Controls,
        *,
        is_proving: bool,
        send_soon: Callable[[Doubt], bool],
        clock: Callable[[], float],
    ) -> None:
        self._controls = controls
        self.is_proving = is_proving
        self._send_soon = send_soon
        self._clock = clock
        self._doubts: dict[int, list[Doubt]] = {}  # one that is looked for at two leads stands at both
        self._traces: defaultdict[int, Counter[bytes]] = defaultdict(Counter)  # what is looked for at a lead
        self._count = 0
        self._sent_soon: dict[tuple[int, str], bool] = {}  # of this moment, by lead and type
        self._next_look = -math.inf

    def __len__(self) -> int:
        return self._count

    def _all(self) -> Iterator[Doubt]:
        return (doubt for lead_id, doubts in self._doubts.items() for doubt in doubts if doubt.lead_id == lead_id)

    def of_lead(self, lead_id: int) -> Sequence[Doubt]:
        """The doubts about a lead's activities."""
        return self._doubts.get(lead_id, ())

    def oldest(self) -> Doubt | None:
        """The doubt that has waited longest."""
        return min(self._all(), key=lambda doubt: doubt.since, default=None)

    def holds(self, trace_hash: bytes, lead_id: int) -> bool:
        """Whether a row with this trace must wait: beside it, a doubtful one could not be recognised."""
        return trace_hash in self.traces_at(lead_id)

    def traces_at(self, lead_id: int) -> Collection[bytes]:
        """What is looked for at a lead."""
        return self._traces.get(lead_id, {})

    def add(self, doubt: Doubt) -> None:
        """Take in a doubt."""
        for lead_id, view in doubt.views.items():
            self._doubts.setdefault(lead_id, []).append(doubt)
            self._traces[lead_id][view.wanted.trace_hash] += 1
        self._count += 1
        self._controls.assign(doubt)
        self._sent_soon.clear()
        if self.is_proving:
            self._is_sent_soon(doubt)

    def _is_sent_soon(self, doubt: Doubt) -> bool:
        """Whether a row of a doubt's lead and type is sent next; the same for all doubts of that lead and type."""
        key = doubt.lead_id, doubt.wanted.type
        if key not in self._sent_soon:
            self._sent_soon[key] = self._send_soon(doubt)
        return self._sent_soon[key]

    def delivered(self, wanted: Trace, sent: float) -> None:
        """
        Learn of a delivered row: it may be a control.

        :param sent: when its request began
        """
        self._controls.delivered(wanted, sent, self.of_lead(wanted.lead_id))

    # When to read

    def next_read(self, busy: Collection[int], is_idle: bool) -> int | None:
        """
        Which lead to read now, if any.

        :param busy: leads that are being read already
        :param is_idle: nothing is left to send, so that no newer control will come
        """
        now = self._clock()
        if now < self._next_look:
            return None
        self._sent_soon.clear()
        for doubt in (doubt for doubt in self._all() if doubt.next_read <= now):
            lead_id = self._lead_to_read(doubt, now, is_idle)
            if lead_id is None:
                doubt.next_read = now + min(doubt.settle_seconds / 10, 1.0)
            elif lead_id not in busy:
                return lead_id
        self._next_look = now + _LOOK_SECONDS
        return None

    def reach(self, lead_id: int) -> float:
        """The oldest ``created`` that matters on a lead's pages."""
        reaches = [reach_of(doubt.views[lead_id].wanted, doubt.received) for doubt in self.of_lead(lead_id)]
        reaches += [float(control.wanted.created) for control in self._relying_on(lead_id)]
        return min(reaches, default=math.inf)

    def _lead_to_read(self, doubt: Doubt, now: float, is_idle: bool) -> int | None:
        view = min((view for view in doubt.views.values() if not view.is_absent), key=lambda view: view.last_read)
        lead_id = view.wanted.lead_id
        first_look = doubt.since + doubt.settle_seconds
        if now < first_look:
            early = doubt.since + min(_EARLY_SECONDS, doubt.settle_seconds / 4)
            return lead_id if is_idle and view.last_read == -math.inf and now >= early else None
        if not self.is_proving:
            return lead_id
        is_due = view.last_read < first_look or now >= doubt.settles_at
        if doubt.own is not None or self._is_sent_soon(doubt):
            return lead_id if is_due else None
        control = self._controls.control_of(doubt)
        if control is None:  # its control may come as long as rows are sent; until then reading proves nothing
            return lead_id if is_due and is_idle else None
        is_control_due = not (control.is_verified or doubt.has_used_up_controls or now >= doubt.expires_at)
        return control.wanted.lead_id if is_control_due else lead_id

    # What a page says

    def look_at_controls(self, reading: Reading) -> None:
        """Learn from a lead's page which controls are shown as they were sent. Comes before :meth:`take`."""
        relying = self._relying_on(reading.page.lead_id)
        unseen = {control: doubts for control, doubts in relying.items() if not control.is_verified}
        self._controls.look_at(reading.page, unseen, reading.surplus, reading.delivered)

    def controls_at(self, lead_id: int) -> Iterator[Trace]:
        """What was sent to a lead and shows whether Lofty shows what it stored."""
        return (control.wanted for control in self._relying_on(lead_id))

    def _relying_on(self, lead_id: int) -> dict[Control, list[Doubt]]:
        """The controls that were sent to a lead, each with the doubts that rely on it."""
        relying = defaultdict(list)
        for doubt in self._all():
            for control in dict.fromkeys((doubt.own, doubt.control)):
                if control is not None and control.wanted.lead_id == lead_id:
                    relying[control].append(doubt)
        return relying

    def take(self, reading: Reading, matches: Mapping[Doubt, Match], *, is_idle: bool) -> list[Settled]:
        """
        Learn what a lead's page says of its doubts.

        :param matches: of those doubts that were there when the page was asked for
        """
        settled = []
        self._sent_soon.clear()
        for doubt, found in matches.items():
            view = doubt.views[reading.page.lead_id]
            view.last_read = reading.page.started
            end = self._judge(doubt, view, found, reading, is_idle)
            if end is not None:
                settled.append(end)
            else:
                doubt.next_read = self._next_read_of(doubt, view, reading.page)
        self._drop(settled)
        return settled

    def take_known(self, lead_id: int, is_delivered: Callable[[bytes], bool]) -> list[Settled]:
        """
        End the doubts about rows that others have delivered: whoever sent one had its answer after all.

        :param is_delivered: whether a row's key is that of a delivered one
        """
        doubts = [doubt for doubt in self.of_lead(lead_id) if is_delivered(doubt.intent.row_key)]
        settled = [Settled(doubt, Proof.STORED, "delivered by an earlier try or another run") for doubt in doubts]
        self._drop(settled)
        return settled

    def _next_read_of(self, doubt: Doubt, view: View, page: Page) -> float:
        if not all(view.is_absent or view.last_read > -math.inf for view in doubt.views.values()):
            return -math.inf
        if page.started < doubt.since + doubt.settle_seconds:
            return doubt.since + doubt.settle_seconds
        if view.absent_since is not None:
            return max(view.absent_since + ABSENCE * doubt.settle_seconds, doubt.settles_at)
        if self._has_to_wait(doubt) and page.started < doubt.settles_at:
            return doubt.settles_at
        control = self._controls.control_of(doubt)
        if control is not None and page.started < control.verified_at < math.inf:
            return page.ended  # the control was seen later than this page was asked for
        return max(page.ended + doubt.pause_seconds, doubt.next_read)

    def _has_to_wait(self, doubt: Doubt) -> bool:
        """Whether there is nothing to be learned before its absence counts."""
        return doubt.own is not None or self._controls.control_of(doubt) is None

    def _judge(self, doubt: Doubt, view: View, found: Match, reading: Reading, is_idle: bool) -> Settled | None:
        if found is Match.FOUND:
            other = view.wanted.lead_id
            return Settled(doubt, Proof.STORED, "" if view.wanted is doubt.wanted else f"found at lead {other}: merged")
        is_due = reading.page.started >= doubt.settles_at
        view.is_not_shown = found is Match.ABSENT and reading.page.is_complete
        if not self.is_proving:
            view.is_absent = is_due
            return Settled(doubt, Proof.NONE, "Lofty does not show it") if doubt.is_absent else None
        if found is not Match.ABSENT or not reading.page.is_complete:
            view.absent_since = None
            view.times_undecided += is_due
            is_last = view.times_undecided >= _MOST_TIMES_UNDECIDED
            return Settled(doubt, Proof.NONE, _REASONS[found]) if is_last else None
        view.is_absent = self._is_absent(doubt, view, reading, is_due=is_due)
        if doubt.is_absent:
            return Settled(doubt, Proof.NOT_STORED)
        return self._give_up_on(doubt, view, reading.page, is_idle) if is_due else None

    def _is_absent(self, doubt: Doubt, view: View, reading: Reading, *, is_due: bool) -> bool:
        """Whether a whole page that shows neither a doubtful row nor anything near proves that it is not there."""
        if doubt.own is not None and view.wanted is doubt.wanted:
            return is_due and reading.shows(doubt.own.wanted) and reading.shows_all(doubt, doubt.own.sent)
        control = self._controls.control_of(doubt)
        if control is None or doubt.has_flawed_own or doubt.has_used_up_controls or self._is_sent_soon(doubt):
            return False
        if reading.page.started < control.verified_at:
            return False
        if not reading.shows_all(doubt, control.sent):
            view.absent_since = None
        elif view.absent_since is None:
            view.absent_since = reading.page.started
        else:
            return is_due and reading.page.started >= view.absent_since + ABSENCE * doubt.settle_seconds
        return False

    def _give_up_on(self, doubt: Doubt, view: View, page: Page, is_idle: bool) -> Settled | None:
        """End a doubt of which nothing can be proved."""
        if view.is_absent or view.absent_since is not None:
            return None
        if doubt.own is None and self._is_sent_soon(doubt):
            return None
        if doubt.has_used_up_controls or (doubt.has_flawed_own and doubt.own is None):
            return Settled(doubt, Proof.NONE, doubt.flaw)
        if doubt.own is None and self._controls.control_of(doubt) is None:
            if not is_idle or self._may_be_sent_again(doubt.wanted.type):
                return None
            return Settled(doubt, Proof.NONE, doubt.flaw or f"no other {doubt.wanted.type} activity was delivered "
                           "after it, so nothing shows whether Lofty would show this one")  # fmt: skip
        if page.started < doubt.expires_at:
            return None
        return Settled(doubt, Proof.NONE, f"lead {page.lead_id} does not show what was delivered to it, or Lofty not "
                                          "what was delivered after it")  # fmt: skip

    def lacks_control(self, n: int) -> bool:
        """Whether a row is in doubt, was not shown when it should have been, and nothing was sent after it."""
        return any(
            doubt.own is None and self._controls.control_of(doubt) is None
            and all(
                view.is_not_shown and view.last_read >= doubt.since + doubt.settle_seconds
                for view in doubt.views.values()
            )
            for doubt in self._all() if doubt.row is not None and doubt.row.n == n
        )  # fmt: skip

    def _may_be_sent_again(self, kind: str) -> bool:
        """Whether a doubt of this type can still prove not to be stored; sent again, it is a control of the others."""
        return any(doubt.own or doubt.control for doubt in self._all() if doubt.wanted.type == kind)

    # What cannot be read

    def failed(self, lead_id: int, reason: str, *, is_refused: bool) -> list[Settled]:
        """
        Learn that a lead could not be read.

        :param is_refused: Lofty answered, but not with the lead's activities
        """
        now = self._clock()
        relying = {
            control: [doubt for doubt in doubts if lead_id not in doubt.views]
            for control, doubts in self._relying_on(lead_id).items()
        }
        settled = []
        for doubt in dict.fromkeys((*self.of_lead(lead_id), *chain.from_iterable(relying.values()))):
            doubt.next_read = now + doubt.pause_seconds
            refusals = 0
            if lead_id in doubt.views:
                doubt.views[lead_id].refusals += is_refused
                refusals = doubt.views[lead_id].refusals
            if refusals >= _MOST_REFUSALS or now >= doubt.expires_at:
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
            for lead_id, view in end.doubt.views.items():
                doubts, traces = self._doubts[lead_id], self._traces[lead_id]
                doubts.remove(end.doubt)
                traces[view.wanted.trace_hash] -= 1
                if not traces[view.wanted.trace_hash]:
                    del traces[view.wanted.trace_hash]
                if not doubts:
                    del self._doubts[lead_id], self._traces[lead_id]
            self._count -= 1
            self._controls.forget(end.doubt)
