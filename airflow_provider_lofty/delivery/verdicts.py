"""From the verdict on a POST to what becomes of its row."""

from __future__ import annotations

from airflow_provider_lofty.delivery.backlog import Backlog
from airflow_provider_lofty.delivery.breaker import CircuitBreaker, RejectionLimit
from airflow_provider_lofty.delivery.canary import Canary
from airflow_provider_lofty.delivery.doubt import ASSUMED, MOST_SENDS
from airflow_provider_lofty.delivery.reconcile import Reconciler
from airflow_provider_lofty.delivery.recorder import Recorder
from airflow_provider_lofty.delivery.stop import Stop, StopKind, stop_for
from airflow_provider_lofty.delivery.workers import Work
from airflow_provider_lofty.lofty.answers import Meaning, Verdict, names_missing_lead
from airflow_provider_lofty.lofty.client import LoftyClient
from airflow_provider_lofty.lofty.errors import failure_text, status_text
from airflow_provider_lofty.lofty.redaction import redact, texts_of
from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.rows.source import row_name
from airflow_provider_lofty.spool.history import JournalState
from airflow_provider_lofty.spool.spool import Result


class Verdicts:
    """
    Gives rows that were sent their outcome, or sends them back to where rows wait.

    :param on_unknown: what to do about a row in doubt: ``verify``, ``report``, ``resend`` or ``assume_delivered``
    :param stop_after_rejections: so many different leads refused alike, before any success, end the run
    :ivar sent: rows that Lofty has, or may have, from this run
    :ivar has_unanswered: whether a row is in doubt that this run does not settle
    """

    def __init__(
        self,
        client: LoftyClient,
        recorder: Recorder,
        breaker: CircuitBreaker,
        backlog: Backlog,
        canary: Canary,
        reconciler: Reconciler,
        *,
        on_unknown: str,
        stop_after_rejections: int,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._breaker = breaker
        self._rejection_limit = RejectionLimit(stop_after_rejections)
        self._backlog = backlog
        self._canary = canary
        self._reconciler = reconciler
        self._on_unknown = on_unknown
        self.sent = 0
        self.has_unanswered = False

    def take(self, work: Work, verdict: Verdict) -> Stop | None:
        """
        Do with a row what the answer to its request means.

        :return: why nothing more may be sent, if so
        """
        meaning = verdict.meaning
        if meaning is Meaning.DELIVERED:
            self._take_delivered(work, verdict)
        elif meaning is Meaning.DOUBT:
            self._take_doubt(work, verdict)
        elif meaning is Meaning.REJECTED:
            return self._take_rejected(work, verdict)
        else:
            return self._take_not_stored(work, verdict)
        return None

    def _take_not_stored(self, work: Work, verdict: Verdict) -> Stop | None:
        """The row is sent again, here or by the next try; it costs no attempt."""
        stop = None
        if verdict.meaning is Meaning.RATE_LIMITED:
            self._breaker.record_throttled()
        elif verdict.meaning is Meaning.NEVER_SENT:
            self._breaker.record_failure(verdict.message)
        else:
            stop = stop_for(self._client.error_for(verdict, "POST activity"))
        self._backlog.retry(work)
        return stop

    def _take_delivered(self, work: Work, verdict: Verdict) -> None:
        self.sent += 1
        self._breaker.record_success()
        self._backlog.avoid_lead = None
        self._rejection_limit.record_success()
        other = _other_lead(work, verdict)
        remark = None if other is None else f"Lofty answered with lead {other}: the lead was merged"
        result = _result(work, Outcome.DELIVERED, verdict, remark)
        self._recorder.record(work.intent, JournalState.DELIVERED, result, other, is_answered=True)
        if other is None:
            self._reconciler.take_delivered(work)
        else:
            self._reconciler.take_merged(work.row.lead_id, other)
        self._canary.delivered(result, work.began)

    def _take_doubt(self, work: Work, verdict: Verdict) -> None:
        self.sent += 1
        failure = failure_text(verdict)
        if verdict.lead_id is None:
            self._breaker.record_failure(failure)
        else:  # Lofty does answer; only whom is not sure
            self._breaker.record_answer()
        self._backlog.avoid_lead = work.row.lead_id
        error = f"sent, but no trustworthy answer ({failure}): it may be stored; look at the lead"
        result = _result(work, Outcome.UNKNOWN, verdict, error)
        if self._on_unknown == "assume_delivered":
            assumed = result._replace(outcome=Outcome.DELIVERED, error=ASSUMED)
            self._recorder.record(work.intent, JournalState.DELIVERED, assumed)
            return
        other = _other_lead(work, verdict)
        if self._on_unknown == "resend" and result.attempts >= MOST_SENDS:
            # Not left open: two runs that each hold such a row would wait for each other.
            self._recorder.record(work.intent, JournalState.ABANDONED, result, other)
            return
        self._recorder.doubt(work.intent._replace(answered_lead=other), result)
        if self._on_unknown == "resend":
            self._backlog.put([work.row._replace(attempts=result.attempts)])
        else:
            self._reconciler.take_unanswered(work, result, verdict)

    def _take_rejected(self, work: Work, verdict: Verdict) -> Stop | None:
        self._breaker.record_answer()
        row = work.row
        message = redact(verdict.message, texts_of(row.body)) or "no reason given"
        error = f"Lofty refused it: {message}; not stored"
        self._recorder.record(work.intent, JournalState.REJECTED, _result(work, Outcome.REJECTED, verdict, error))
        if names_missing_lead(verdict):
            error = f"the lead does not exist, as Lofty said of {row_name(row.row_number, row.line)}; not sent"
            result = Result(0, Outcome.REJECTED, verdict.status, verdict.code, error)
            self._backlog.reject_lead(row.lead_id, result)
        if not self._rejection_limit.is_reached(row.lead_id, verdict):
            return None
        leads, status = self._rejection_limit.height, status_text(verdict.status, verdict.code)
        reason = f"Lofty refused {leads} different leads alike before any success ({status}: {message})"
        return Stop(StopKind.REJECTIONS, reason)

    def take_unanswered(self, work: Work, why: str) -> None:
        """
        Leave a row in doubt whose request has no answer, for the next try to settle.

        :param why: why there is no answer
        """
        error = f"sent, but {why}: it may be stored; look at the lead"
        self._recorder.doubt(work.intent, _result(work, Outcome.UNKNOWN, Verdict(Meaning.DOUBT), error))
        self.has_unanswered = True
        self.sent += 1


def _other_lead(work: Work, verdict: Verdict) -> int | None:
    """The lead that the answer named, where it is another than the row's."""
    return None if verdict.lead_id == work.row.lead_id else verdict.lead_id


def _result(work: Work, outcome: Outcome, verdict: Verdict, error: str | None) -> Result:
    attempts = work.row.attempts + 1
    return Result(work.row.n, outcome, verdict.status, verdict.code, error, attempts, work.sent_at)
