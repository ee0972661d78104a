"""One page of the list of deliveries: which of them are wanted, and what is known of each."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, NamedTuple
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from airflow_provider_lofty.outcomes import OUTCOMES, WRONG_OUTCOMES, Outcome
from airflow_provider_lofty.report.status import Phase, Status
from airflow_provider_lofty.report.summary import Summary
from airflow_provider_lofty.ui.deliveries_queries import Delivery
from airflow_provider_lofty.ui.index import FAILED
from airflow_provider_lofty.ui.queries import RUNNING
from airflow_provider_lofty.ui.xcoms import Stored, read_status, status_or_stored

PAGE = 50
_MOST_EXAMINED = 500  # where rows' outcomes decide, which lie in what was pushed
_READING_SECONDS = 1.0

TASK_FAILED = "task_failed"
_STATES = {RUNNING: (RUNNING,), TASK_FAILED: ("failed", "up_for_retry")}
_ROWS: dict[str, tuple[Outcome, ...]] = {FAILED: WRONG_OUTCOMES, **{one.value: (one,) for one in OUTCOMES}}
CHOICES = frozenset(("", *_STATES, *_ROWS))


class Wanted(NamedTuple):
    """
    Which deliveries are wanted.

    :param dag_id: of one Dag; of every one where it is empty
    :param outcome: one of :data:`CHOICES`: a state of the task, or what some of its rows came to
    :param before: the id of a delivery: only older ones
    """

    dag_id: str = ""
    outcome: str = ""
    before: UUID | None = None

    @property
    def states(self) -> tuple[str, ...]:
        """The states of tasks that are wanted; none where any is."""
        return _STATES.get(self.outcome, ())

    @property
    def row_outcomes(self) -> tuple[Outcome, ...]:
        """What some rows must have come to; none where that does not matter."""
        return _ROWS.get(self.outcome, ())

    @property
    def most(self) -> int:
        """How many deliveries are looked at for one page."""
        return _MOST_EXAMINED if self.row_outcomes else PAGE


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the page shows of a delivery.

    :param counts: whether its rows' counts are known: not, where it has shown nothing, where its summary is of another
        format, or where a store of XComs keeps them that was not asked yet or does not give them
    :param rows_per_minute: as it sends now, or delivered over the whole run
    """

    id: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int = msgspec.field(name="try")
    state: str | None
    started: str
    seconds: float | None
    is_over: bool
    counts: Literal["known", "nothing", "other_format", "not_read", "unreadable"]
    phase: Phase | UnsetType = UNSET
    preview: bool | UnsetType = UNSET
    read: int | UnsetType = UNSET
    left: int | UnsetType = UNSET
    outcomes: dict[str, int] = {}
    rows_per_minute: float | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """
    Deliveries, newest first.

    :param dags: whose deliveries the viewer may see
    :param next: before which id the next page begins; None where there is none
    :param examined: how many deliveries were looked at for it
    :param back_to: when the oldest of them began
    :param undecided: how many of them are not shown because the outcomes of their rows are not known
    """

    deliveries: list[Entry]
    dags: list[str]
    next: str | None
    examined: int
    back_to: str | None
    undecided: int


def page_of(
    found: list[Delivery],
    wanted: Wanted,
    dags: list[str],
    is_given_up: Callable[[], bool] = lambda: False,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Page:
    """
    Choose one page of deliveries and describe them.

    What a store of XComs keeps elsewhere is read for a second at most; it is remembered, and the next time goes on
    from there.

    :param found: one more than :attr:`Wanted.most`, where there are so many
    """
    until = clock() + _READING_SECONDS
    shown: list[Entry] = []
    examined = undecided = 0
    for delivery in found[: wanted.most]:
        if len(shown) == PAGE:
            break
        entry = _entry(delivery, may_wait=not is_given_up() and clock() < until)
        examined += 1
        if _is_wanted(entry, wanted):
            shown.append(entry)
        elif entry.counts != "known":
            undecided += 1
    last = found[examined - 1] if examined else None
    return Page(
        deliveries=shown,
        dags=dags,
        next=last.id if last and examined < len(found) else None,
        examined=examined,
        back_to=last and last.started.isoformat(),
        undecided=undecided,
    )


def _is_wanted(entry: Entry, wanted: Wanted) -> bool:
    return not wanted.row_outcomes or any(entry.outcomes.get(outcome) for outcome in wanted.row_outcomes)


def _entry(delivery: Delivery, *, may_wait: bool) -> Entry:
    counts, status = _status(delivery, may_wait=may_wait)
    summary = status.summary or None
    outcomes = summary.outcomes if summary else status.outcomes or {}
    task = delivery.task
    return Entry(
        id=delivery.id,
        dag_id=task.dag_id,
        run_id=task.run_id,
        task_id=task.task_id,
        map_index=task.map_index,
        try_number=task.try_number,
        state=delivery.state,
        started=delivery.started.isoformat(),
        seconds=delivery.seconds,
        is_over=delivery.is_over,
        counts=counts,
        phase=status.phase,
        preview=status.preview,
        read=status.read,
        left=status.left,
        outcomes={name: count for name, count in outcomes.items() if count},
        rows_per_minute=_rate(status, summary),
    )


_Counts = Literal["known", "nothing", "other_format", "not_read", "unreadable"]


def _status(delivery: Delivery, *, may_wait: bool) -> tuple[_Counts, Status]:
    """What this try has shown of itself, and else why that is not known."""
    if delivery.pushed_at is None:
        return "nothing", Status()
    pushed = status_or_stored(delivery.pushed, delivery.pushed_at)
    if isinstance(pushed, Stored) and not may_wait:
        return "not_read", Status()
    status = read_status(pushed)
    if status is None:
        return "unreadable", Status()
    if status.try_number != delivery.task.try_number:
        return "nothing", Status()
    if status.summary and not status.summary.is_readable:
        return "other_format", Status()
    return "known", status


def _rate(status: Status, summary: Summary | None) -> float | None:
    if summary is None:
        return None if status.rows_per_minute is UNSET else status.rows_per_minute
    return summary.delivered * 60 / summary.seconds if summary.seconds > 0 else None
