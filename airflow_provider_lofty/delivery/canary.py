"""
Has Lofty shown that it would show a row?

Where no journal knows all that was sent, a lead that does not show a row is no proof: Lofty may show activities late,
or otherwise than they were sent. So each type of activity needs one row of ours that is shown exactly as it was sent,
and only pages that were asked for after that count. A row that an earlier try sent is such a proof and costs nothing.
Where none is found, and nothing near, one row goes ahead, the *canary*: the last of the input, since earlier tries
began with the first. When it is shown as it was sent, the others may follow. When not, they stay ``unknown``, and so
does it. A canary that gets no answer and is not shown may not have been stored: then the row before it goes ahead as
well, and is also the control that decides about the first. None goes ahead once Lofty shows an activity of the type
that may be a row of ours, altered: an earlier try may have sent this one, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

from airflow_provider_lofty.delivery.backlog import Backlog
from airflow_provider_lofty.delivery.doubt import PAUSE
from airflow_provider_lofty.delivery.matching import reach_of
from airflow_provider_lofty.delivery.recorder import Recorder
from airflow_provider_lofty.delivery.settling import Reading
from airflow_provider_lofty.lofty.settings import PATIENCE
from airflow_provider_lofty.lofty.trace import Trace, trace_of_body
from airflow_provider_lofty.log import Log
from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.spool.spool import PendingRow, Result, Spool

_PERHAPS = (
    "perhaps sent by an earlier try, and Lofty did not show {what} as it was sent, so that nobody can tell: look at "
    'the lead; on_unknown="resend" sends it all the same'
)


_MOST_SENT = 3  # of a type, where answers are lost


@dataclass(eq=False)
class _Sent:
    """A canary; ``shown_by``: the clock's time until which it has to be shown, when it was delivered."""

    row: PendingRow
    wanted: Trace
    result: Result | None = None
    shown_by: float = math.inf
    next_look: float = -math.inf


class Canary:
    """
    Which types of activity Lofty has shown as they were sent, and the rows that go ahead to find out.

    :param is_needed: whether proof is needed at all: not when what is in doubt is to be sent again
    :param settle_seconds: how long Lofty may take to show what it stored
    :param lacks_control: whether a row is in doubt that proves not to be stored when another one of its type is shown
    :param clock: seconds, which also pass while the machine is suspended
    :ivar is_needed: whether a row is sent only where proof says that it was not sent before
    :ivar failure: what keeps rows from being sent, for people; empty when nothing does
    """

    def __init__(
        self,
        spool: Spool,
        recorder: Recorder,
        backlog: Backlog,
        log: Log,
        *,
        is_needed: bool,
        settle_seconds: float,
        lacks_control: Callable[[int], bool],
        clock: Callable[[], float],
    ) -> None:
        self._spool = spool
        self._recorder = recorder
        self._backlog = backlog
        self._log = log
        self.is_needed = is_needed
        self._settle_seconds = settle_seconds
        self._lacks_control = lacks_control
        self._clock = clock
        self._proved: dict[str, float] = {}
        self._doubted: set[str] = set()
        self._sent: list[_Sent] = []
        self._kinds_aside: set[str] = set()
        self.failure = ""

    def proved_at(self, kind: str) -> float:
        """Since when pages count for a type, by the clock; infinity as long as they do not."""
        return self._proved.get(kind, math.inf) if self.is_needed else -math.inf

    def is_one(self, n: int) -> bool:
        """Whether this row is a canary, which may go without proof."""
        return any(sent.row.n == n for sent in self._sent)

    def doubt(self, kind: str) -> None:
        """Learn that Lofty shows an activity of this type that may be a row of ours, altered."""
        self._doubted.add(kind)

    def prove(self, kind: str, at: float) -> None:
        """
        Learn that Lofty has shown a row of this type exactly as it was sent.

        :param at: by the clock; from then on pages count
        """
        if self._proved.setdefault(kind, at) == at:
            self._sent = [sent for sent in self._sent if sent.wanted.type != kind]

    def give_up(self) -> None:
        """Reading is not permitted, and not needed: all rows may be sent."""
        self.is_needed = False
        self._sent.clear()

    # Sending one

    def wait_for(self, kind: str) -> None:
        """Learn that rows of this type are set aside."""
        self._kinds_aside.add(kind)

    def advance(self) -> bool:
        """
        Go on with the rows that were set aside, now that all others are on their way.

        :return: whether there are any of which the outcome is still open
        """
        for sent in list(self._sent):
            self._look_after(sent)
        for kind in sorted(self._kinds_aside):
            if self.proved_at(kind) < math.inf:
                self._bring_back(kind)
            elif self._is_one_to_go(self._of(kind)):
                self._send_one(kind)
        return bool(self._sent or self._kinds_aside)

    def _of(self, kind: str) -> list[_Sent]:
        return [sent for sent in self._sent if sent.wanted.type == kind]

    def _is_one_to_go(self, sent: list[_Sent]) -> bool:
        """Whether one is to go ahead, beside these."""
        return len(sent) < _MOST_SENT and all(self._lacks_control(one.row.n) for one in sent)

    def _bring_back(self, kind: str) -> None:
        rows = self._spool.bring_back(kind)
        self._backlog.put(rows)
        if not rows:
            self._kinds_aside.discard(kind)

    def _send_one(self, kind: str) -> None:
        if kind in self._doubted:
            self._fail(kind, f"another {kind} activity")
            return
        row = self._spool.last_aside(kind)
        if row is None:
            self._kinds_aside.discard(kind)
            return
        self._log.info(
            "Lofty has shown no %s row of this input yet: row %d goes ahead, to see how it is shown",
            kind, row.row_number,
        )  # fmt: skip
        self._sent.append(_Sent(row, trace_of_body(row.lead_id, row.body)))
        self._backlog.put([row])

    def _look_after(self, sent: _Sent) -> None:
        kind, outcome = sent.wanted.type, self._spool.outcome_of(sent.row.n)
        if sent.result is None and outcome is not None:
            self._sent.remove(sent)  # refused, or another run sent it: the next one goes
            if outcome == Outcome.UNKNOWN and not self._of(kind):
                self._fail(kind, "the row that went ahead")
        elif self._clock() >= sent.shown_by:
            self._fail(kind, "the row that went ahead")

    def delivered(self, result: Result, began: float) -> None:
        """
        Learn that a row was delivered, or found: a canary has to be shown from now on.

        :param result: the row's
        :param began: when its request began
        """
        for sent in self._sent:
            if sent.row.n == result.n:
                sent.result, sent.shown_by = result, began + PATIENCE * self._settle_seconds

    def _fail(self, kind: str, what: str) -> None:
        error = _PERHAPS.format(what=what)
        failed = self._of(kind)
        self._sent = [sent for sent in self._sent if sent not in failed]
        for sent in failed:
            if sent.result is not None:
                self._recorder.record_local(sent.result._replace(outcome=Outcome.UNKNOWN, error=error))
        count = self._spool.refuse_aside(kind, error)
        self._recorder.count(Outcome.UNKNOWN, count)
        self._kinds_aside.discard(kind)
        self.failure = self.failure or (
            f"{kind} rows may have been sent before, by an earlier try or another run that left no journal, and Lofty "
            "does not show any as it was sent, so that nothing tells which: look at their leads, then clear the task "
            'with on_unknown="resend" to send them all the same'
        )

    # Seeing it

    def next_lead(self, busy: Collection[int]) -> int | None:
        """Which lead to read now to see whether a canary is shown, if any."""
        now = self._clock()
        for sent in self._sent:
            if sent.result is not None and sent.next_look <= now and sent.wanted.lead_id not in busy:
                sent.next_look = now + PAUSE * self._settle_seconds
                return sent.wanted.lead_id
        return None

    def reach(self, lead_id: int) -> float:
        """The oldest ``created`` that matters on a lead's page; infinity when nothing does."""
        return min((reach_of(sent.wanted) for sent in self._sent if sent.wanted.lead_id == lead_id), default=math.inf)

    def look_at(self, reading: Reading) -> None:
        """Learn whether a page shows a canary, or another row that waits for one and was sent by someone else."""
        page = reading.page
        for sent in list(self._sent):
            if sent.result is not None and sent.wanted.lead_id == page.lead_id and reading.shows(sent.wanted):
                self.prove(sent.wanted.type, page.ended)
        if self._kinds_aside:
            for row in self._spool.aside_like(page.lead_id, [entry.trace_hash for entry in page.entries]):
                self.prove(row.kind, page.ended)
