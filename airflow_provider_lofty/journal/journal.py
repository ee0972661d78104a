"""
What was about to be sent, and what came of it: written down durably before the first byte of a request leaves.

:meth:`Journal.begin` comes before the source is read, so that a later try knows that there was this one.
:meth:`Journal.load` says what earlier tries and runs know of the rows read, :meth:`Journal.start` that sending begins.
:meth:`Journal.commit` makes intents and results durable in one step. :meth:`Journal.heartbeat` shows that this run is
alive, and what became of rows that another run holds. A row that was intended and not closed is in doubt: only Lofty
can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import NamedTuple, Protocol

from airflow_provider_lofty.lofty.trace import Trace, trace_of_body
from airflow_provider_lofty.spool.history import FINGERPRINT_BYTES, JournalState
from airflow_provider_lofty.spool.leads import Link
from airflow_provider_lofty.spool.sample import InputSample
from airflow_provider_lofty.spool.spool import PendingRow, Spool


class JournalError(Exception):
    """The journal cannot be read or written."""


class JournalUnavailable(JournalError):
    """Its store does not answer, which may pass; what was asked of it may have taken effect or not."""


class JournalUnusable(JournalError):
    """What the journal holds cannot be used, and a later try cannot mend that; the message says what to do."""


class Intent(NamedTuple):
    """
    A row that is about to be sent; all that is kept of it, so that it can be looked for when it is gone.

    :param attempts: how often it was sent before, as far as is known
    :param answered_lead: another lead, with whose id Lofty answered before
    :param may_move: its lead was looked for: under this key another try may send it to another lead. Not kept
    :param may_be_answered: whoever sent it wrote nothing of it since, so an answer to them may still prove it. Not kept
    """

    row_key: bytes
    fingerprint: bytes
    trace: Trace
    attempts: int = 0
    answered_lead: int | None = None
    may_move: bool = False
    may_be_answered: bool = False


def utc_now(now: Callable[[], float]) -> str:
    """The present, as journals and reports write it."""
    return datetime.fromtimestamp(now(), timezone.utc).isoformat(timespec="milliseconds")


def intent_of(row: PendingRow, attempts: int) -> Intent:
    """Say what is to be written down before this row is sent."""
    fingerprint, trace = row.fingerprint[:FINGERPRINT_BYTES], trace_of_body(row.lead_id, row.body)
    return Intent(row.row_key, fingerprint, trace, attempts, may_move=bool(row.may_move))


class Closing(NamedTuple):
    """
    What came of a row.

    :param state: delivered, rejected, doubted, abandoned or withdrawn
    :param attempts: how often it was sent by now
    :param answered_lead: another lead, with whose id Lofty answered
    :param is_answered: Lofty's answer to this very row says that it is delivered; what a reading or an assumption says
        counts only while the row is still this run's
    """

    intent: Intent
    state: JournalState
    http_status: int | None = None
    error_code: int | None = None
    error: str | None = None
    attempts: int = 0
    answered_lead: int | None = None
    is_answered: bool = False

    @property
    def link(self) -> Link | None:
        """What Lofty's answer said of the row's lead, if it named another one."""
        is_certain = self.state == JournalState.DELIVERED
        other = self.answered_lead
        return None if other is None else Link(self.intent.trace.lead_id, other, is_certain)


class Released(NamedTuple):
    """
    A row that another run held, and what became of it.

    :param state: delivered; withdrawn, so that it may be sent here; doubted: its owner died, and it is this run's now
        to settle; or a key conflict: it is another row
    :param intent: what its owner had intended, when it is delivered or in doubt: perhaps with another content
    """

    row_key: bytes
    state: JournalState
    intent: Intent | None = None


@dataclass(frozen=True)
class Loaded:
    """
    What a journal knew when the run began.

    :param doubtful: every row that is in doubt, including those no longer in the input
    :param before: the input that earlier tries of this task had
    :param delivered: how many rows they delivered
    :param gone: how many of these are not in the input any more
    :param has_gone: tells whether one of these was for a lead; None where the journal has only this task's own rows
    """

    doubtful: Sequence[Intent] = ()
    before: InputSample | None = None
    delivered: int = 0
    gone: int = 0
    has_gone: Callable[[int], bool] | None = field(default=None, compare=False)


class Journal(Protocol):
    """
    Where intents and results are kept. Called from the main thread only.

    A call that raised :class:`JournalUnavailable` may be made again, whatever of it has taken effect.
    """

    def begin(self, *, is_later_try: bool) -> bool:
        """
        Get ready.

        :param is_later_try: this task ran before, in a try or before a clear
        :return: whether it has gaps: earlier tries may have sent rows that are not in it
        :raises JournalError: when it is damaged or cannot be reached
        """
        ...

    def load(self, spool: Spool) -> Loaded:
        """
        Put what is known into ``spool.history``.

        :raises JournalError: when it is damaged or cannot be reached
        """
        ...

    def start(self, rows: InputSample) -> None:
        """
        Write down that sending begins.

        :param rows: the input
        :raises JournalError: when it cannot be reached
        """
        ...

    def load_lead(self, lead_id: int, spool: Spool) -> None:
        """
        Put into ``spool.history`` what other runs delivered to a lead.

        :raises JournalError: when it cannot be reached
        """
        ...

    def load_alike(self, trace: Trace, spool: Spool) -> None:
        """
        Put into ``spool`` what other runs sent to other leads that says the same, as far as it may matter.

        :raises JournalError: when it cannot be reached
        """
        ...

    def commit(self, intents: Sequence[Intent], closings: Sequence[Closing]) -> Collection[bytes]:
        """
        Make these durable, together.

        :return: the keys of rows that another run holds; they must not be sent
        :raises JournalError: when it is unknown whether they are durable
        """
        ...

    def heartbeat(self) -> Sequence[Released]:
        """
        Show that this run is alive; tell what became of rows that others held.

        :raises JournalError: when it cannot be reached
        """
        ...

    def close(self) -> None:
        """Free connections."""
        ...


class NoJournal:
    """Keeps nothing: a later try has to ask Lofty what it has."""

    def begin(self, *, is_later_try: bool) -> bool:
        """Whatever an earlier try sent is missing."""
        return is_later_try

    def load(self, spool: Spool) -> Loaded:
        """Know nothing."""
        return Loaded()

    def start(self, rows: InputSample) -> None:
        """Keep nothing."""

    def load_lead(self, lead_id: int, spool: Spool) -> None:
        """Know nothing."""

    def load_alike(self, trace: Trace, spool: Spool) -> None:
        """Know nothing."""

    def commit(self, intents: Sequence[Intent], closings: Sequence[Closing]) -> Collection[bytes]:
        """Keep nothing."""
        return ()

    def heartbeat(self) -> Sequence[Released]:
        """Nobody else holds rows."""
        return ()

    def close(self) -> None:
        """Nothing is open."""
