"""Where a run writes results: into the spool at once, into the journal with the next commit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from airflow_provider_lofty.delivery.progress import Progress
from airflow_provider_lofty.journal.journal import Closing, Intent, Journal, Released
from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.spool.history import JournalState
from airflow_provider_lofty.spool.spool import Result, Spool

COMMIT_SECONDS = 1.0  # what may be in doubt after a crash is what was sent for so long


class Recorder:
    """
    The spool and the journal of one run.

    :param clock: monotonic seconds
    """

    def __init__(self, spool: Spool, journal: Journal, progress: Progress, clock: Callable[[], float]) -> None:
        self._spool = spool
        self._journal = journal
        self._progress = progress
        self._clock = clock
        self._closings: list[Closing] = []
        self._commit_due = self._heartbeat_due = clock() + COMMIT_SECONDS

    def intend(self, intents: Sequence[Intent]) -> Collection[bytes]:
        """
        Make it durable that these rows are about to be sent, and what came of others.

        :return: the keys of rows that another run has claimed; they must not be sent
        :raises JournalError: when it is unknown whether it is durable
        """
        refused = self._journal.commit(intents, self._closings)
        self._closings = []
        self._commit_due = self._clock() + COMMIT_SECONDS
        return refused

    def record(
        self,
        intent: Intent,
        state: JournalState,
        result: Result | None = None,
        answered_lead: int | None = None,
        *,
        is_answered: bool = False,
    ) -> None:
        """
        Write down what came of a row.

        :param result: for the spool; None when the input no longer has the row
        :param answered_lead: another lead, with whose id Lofty answered
        :param is_answered: Lofty's answer to this very row says that it is delivered
        """
        self._closings.append(_closing(intent, state, result, answered_lead, is_answered=is_answered))
        if result is not None:
            self.record_local(result)

    def record_local(self, result: Result) -> None:
        """Write down an outcome that the journal need not know."""
        # A row of a lead that proved to be missing has an outcome already, wherever it waits.
        before = self._spool.record(result)
        is_sent_now = before is None and result.sent_at is not None
        self._progress.count(result.outcome, before=before, were_sent=is_sent_now)

    def count(self, outcome: Outcome, rows: int) -> None:
        """Count rows whose outcome the spool has already."""
        self._progress.count(outcome, rows, were_sent=False)

    def reject_lead(self, lead_id: int, result: Result, in_flight: Collection[int]) -> None:
        """
        Write down that a lead's waiting rows are rejected unsent.

        :param result: what is written down for each of them
        :param in_flight: rows that are being sent, which get an answer of their own
        """
        status, code, error = result.http_status, result.error_code, result.error or ""
        rejected = self._spool.reject_lead(lead_id, status, code, error, in_flight)
        self._progress.count(result.outcome, rejected, were_sent=False)

    def doubt(self, intent: Intent, result: Result) -> None:
        """Write down that a row was sent and that no trustworthy answer came."""
        self._closings.append(_closing(intent, JournalState.DOUBTED, result, intent.answered_lead))
        self._spool.doubt(result)

    def withdraw(self, intent: Intent) -> None:
        """Write down that a row was not sent after all."""
        self._closings.append(Closing(intent, JournalState.WITHDRAWN))

    def finish(self) -> None:
        """
        Commit what is left.

        :raises JournalError: when the journal fails
        """
        if self._closings:
            self.intend(())

    def heartbeat(self) -> Sequence[Released]:
        """
        Commit what has waited long enough; say what became of rows that other runs had claimed.

        :raises JournalError: when the journal fails
        """
        now = self._clock()
        if self._closings and now >= self._commit_due:
            self.intend(())
        if now < self._heartbeat_due:
            return ()
        self._heartbeat_due = now + COMMIT_SECONDS
        return self._journal.heartbeat()


def _closing(
    intent: Intent, state: JournalState, result: Result | None, answered_lead: int | None, *, is_answered: bool = False
) -> Closing:
    if result is None:
        return Closing(intent, state, attempts=intent.attempts, answered_lead=answered_lead, is_answered=is_answered)
    said = result.http_status, result.error_code, result.error, result.attempts
    return Closing(intent, state, *said, answered_lead, is_answered)
