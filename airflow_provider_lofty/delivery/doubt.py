"""What there is to say of rows in doubt: the row, what was read of its lead, what that proved."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from airflow_provider_lofty.delivery.matching import Times
from airflow_provider_lofty.journal.journal import Intent
from airflow_provider_lofty.lofty.settings import PATIENCE
from airflow_provider_lofty.lofty.trace import Trace
from airflow_provider_lofty.spool.spool import PendingRow, Result

MOST_FLAWS = 3  # controls that are tried
MOST_SENDS = 3  # the first, and two more after it proved not to be stored
ASSUMED = "in doubt, and taken for delivered as on_unknown says"
PAUSE = 0.5  # of a settle time, between two looks at the same


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
    """
    An activity that was delivered, and whether Lofty shows it as it was sent.

    :param sent: when its request began
    """

    wanted: Trace
    sent: float
    verified_at: float = math.inf
    flaw: str = ""  # why it proves nothing

    @property
    def is_verified(self) -> bool:
        """Whether it was seen as it was sent."""
        return self.verified_at < math.inf


@dataclass(eq=False)
class View:
    """
    What one lead's pages have said of a doubtful row.

    :param wanted: what to look for there
    :ivar absent_since: when the first of the readings was asked for that show neither it nor anything near; None: the
        last one was not such a one
    :ivar is_absent: whether it is proved not to be there
    :ivar is_not_shown: whether the last reading showed neither it nor anything near
    """

    wanted: Trace
    absent_since: float | None = None
    is_absent: bool = False
    is_not_shown: bool = False
    times_undecided: int = 0
    refusals: int = 0
    last_read: float = -math.inf


@dataclass(eq=False)
class Doubt:
    """
    A row that was sent; whether Lofty stored it is unknown.

    :param row: None when the input no longer has it
    :param sent: when its request began; ``-inf`` when that was in another process
    :param since: when its request ended, or when this process learned of it
    :param settle_seconds: how long Lofty may take to show what it stored
    :param wait_seconds: how long after ``since`` its absence begins to count
    :param result: what is to be reported of it as long as nothing is proved
    :param began_at: when its request began, or when this process learned of it, as journals write times
    :param received: when Lofty may have received it, where that is known
    :param elsewhere: what to look for at another lead, with whose id Lofty answered
    """

    intent: Intent
    row: PendingRow | None
    sent: float
    since: float
    settle_seconds: float
    wait_seconds: float
    began_at: str = ""
    result: Result | None = None
    received: Times | None = None
    elsewhere: Trace | None = None
    own: Control | None = None  # delivered to the same lead after it
    control: Control | None = None  # delivered to any lead after it
    flaws: int = 0  # controls that proved useless, and
    flaw: str = ""  # why
    has_flawed_own: bool = False  # its very lead does not show what was sent as it was sent
    next_read: float = field(default=-math.inf)
    views: dict[int, View] = field(init=False)

    def __post_init__(self) -> None:
        wanted = (self.intent.trace, self.elsewhere) if self.elsewhere is not None else (self.intent.trace,)
        self.views = {trace.lead_id: View(trace) for trace in wanted}

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
        return self.since + self.wait_seconds

    @property
    def expires_at(self) -> float:
        """When to give up: :data:`PATIENCE` settle times after the last control, else after the row itself."""
        sent = (control.sent for control in (self.own, self.control) if control is not None)
        return max(self.settles_at, max(sent, default=self.since) + PATIENCE * self.settle_seconds)

    @property
    def pause_seconds(self) -> float:
        """How long to wait between two looks at the same."""
        return self.settle_seconds * PAUSE

    @property
    def is_absent(self) -> bool:
        """Whether it is proved not to be stored, wherever it may be."""
        return all(view.is_absent for view in self.views.values())

    @property
    def has_used_up_controls(self) -> bool:
        """Whether so many controls proved useless that no other is tried."""
        return self.flaws >= MOST_FLAWS


class Page(NamedTuple):
    """
    What Lofty showed of a lead.

    :param started: when it was asked for
    :param ended: when it was there
    :param unreadable: a hash of each entry that cannot be read
    :param reached: milliseconds since 1970; what is older was not asked for. None: everything was
    :param named: lead → which lead Lofty said that it is, asked when the page had come
    """

    lead_id: int
    entries: Sequence[Trace]
    is_complete: bool
    started: float
    ended: float
    unreadable: Sequence[bytes] = ()
    reached: int | None = None
    named: Mapping[int, int] = {}
