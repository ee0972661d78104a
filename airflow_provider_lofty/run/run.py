"""
One run from its first row to its verdict: gates, books, report, summary, and what to raise in the end.

Whatever ends a run, its books are closed, its report is written and its summary told before anything is raised.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from airflow.sdk.bases.xcom import BaseXCom

from airflow_provider_lofty.delivery.delivery import Conduct, Delivery, Stop, StopKind
from airflow_provider_lofty.delivery.precheck import MODES, Precheck
from airflow_provider_lofty.delivery.progress import Progress
from airflow_provider_lofty.delivery.workers import Workers
from airflow_provider_lofty.exceptions import (
    LoftyConfigurationError,
    LoftyDeliveryIncomplete,
    LoftyError,
    LoftyRowsFailed,
    LoftySourceNotReady,
)
from airflow_provider_lofty.journal.journal import Intent, Journal, JournalError, JournalUnusable, Loaded, intent_of
from airflow_provider_lofty.lofty.client import LoftyClient
from airflow_provider_lofty.log import Log
from airflow_provider_lofty.outcomes import OUTCOMES, Outcome
from airflow_provider_lofty.report.writer import Report, summary
from airflow_provider_lofty.run.policy import Limit
from airflow_provider_lofty.run.publisher import ENDED, SENDING, StatusPublisher
from airflow_provider_lofty.spool.spool import PendingRow, Spool

ON_UNKNOWN = ("verify", "report", "resend", "assume_delivered")
_MOST_ROWS_LOGGED = 50
_REQUESTS_SHOWN = 3
_MOST_GONE = 0.1  # of the delivered rows; more of them gone, and others in their place, is another input


@dataclass(frozen=True)
class Policy:
    """
    When a run must not begin, when it stops, and when it has failed.

    :param stop_after_rejections: so many different leads refused alike, before any success, end the run
    :param check_existing: ``sample``, ``always`` or ``never``
    :param on_unknown: ``verify``, ``report``, ``resend`` or ``assume_delivered``
    :param preview: do all but send
    :raises LoftyConfigurationError: when a value makes no sense
    """

    max_failed: Limit
    max_invalid: Limit
    max_rows: Limit
    stop_after_rejections: int
    check_existing: str
    on_unknown: str
    preview: bool

    def __post_init__(self) -> None:
        for name, value, choices in (
            ("check_existing", self.check_existing, MODES),
            ("on_unknown", self.on_unknown, ON_UNKNOWN),
        ):
            if value not in choices:
                raise LoftyConfigurationError(f"{name} must be one of {', '.join(choices)}")
        rejections = self.stop_after_rejections
        if not isinstance(rejections, int) or rejections < 1:
            raise LoftyConfigurationError("stop_after_rejections must be a whole number of at least 1")

    def closed_gate(self, read: int, invalid: int) -> str | None:
        """Say which gate keeps the run from sending anything."""
        if self.max_rows.is_exceeded_by(read, read):
            return f"{read} rows were read, more than max_rows={self.max_rows} allows"
        if self.max_invalid.is_exceeded_by(invalid, read):
            return f"{invalid} of {read} rows are invalid, more than max_invalid_rows={self.max_invalid} allows"
        return None


class Run:
    """
    One run: what was read, what came of it, and what to tell about it.

    :param policy: the author's limits
    :param client: makes the requests
    :param journal: remembers across tries and runs
    :param report: where every row's outcome goes, if anywhere
    :param log: the task's log
    :param board: shows whoever looks how far the run is, and gets the summary of a run that fails
    :param is_later_try: whether this task ran before, in a try or before a clear
    :param deadline: when to stop, by the clock
    :param clock: monotonic seconds
    :param now: seconds since 1970
    :param workers: makes the threads that make requests, so many at once
    """

    spool: Spool

    def __init__(
        self,
        policy: Policy,
        client: LoftyClient,
        journal: Journal,
        report: Report | None,
        log: Log,
        publisher: StatusPublisher,
        *,
        is_later_try: bool = False,
        deadline: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        workers: Callable[[int], Workers[Any]] = Workers,
    ) -> None:
        self._policy = policy
        self._client = client
        self._journal = journal
        self._report = report
        self._log = log
        self._publisher = publisher
        self._is_later_try = is_later_try
        self._deadline = deadline
        self._clock = clock
        self._now = now
        self._workers = workers
        self._started = clock()
        self._knows_all = True
        self._has_recalled = False
        self._gate: str | None = None
        self._stopped: Stop | None = None
        self._sent = self._read_backs = self._carried_over = 0
        self._may_settle_later = False
        self._report_error: str | None = None
        self.summary: dict[str, Any] = {}

    @property
    def has_report(self) -> bool:
        """Whether the rows' own columns will be asked for."""
        return self._report is not None

    @property
    def host(self) -> str:
        """Base URL of the Lofty that rows go to."""
        return self._client.host

    def begin(self) -> None:
        """
        Try the connection's settings and open the journal, before anything is read.

        :raises LoftyDeliveryIncomplete: when it cannot be reached
        :raises LoftyConfigurationError: when it is damaged
        """
        self._client.prepare()
        with _journal_errors():
            self._knows_all = self._journal.begin(is_later_try=self._is_later_try)

    def send(self, stop: threading.Event) -> None:
        """Send what was read, unless a gate is closed or this is a preview."""
        with _journal_errors():
            loaded = self._load_history()
        read, counts = self.spool.read, self.spool.counts()
        waiting = self.spool.count_pending()
        self._gate = self._policy.closed_gate(read, counts[Outcome.INVALID])
        self._log.info("%d rows read, %d to send; of the others %s", read, waiting, _counted(counts))
        if self._gate is not None:
            self.spool.close_books(Outcome.NOT_ATTEMPTED, self._gate)
        elif self._policy.preview:
            self._show_requests()
            self.spool.close_books(Outcome.WOULD_SEND)
        else:
            doubtful = self._doubtful(loaded)
            if waiting or doubtful:
                with _journal_errors():
                    self._journal.start(self.spool.input_sample())
                self._deliver(stop, doubtful)

    def _show_requests(self) -> None:
        """Show what a preview is for: the first requests as they would leave, and how long all of them would take."""
        rows = self.spool.pending(limit=_REQUESTS_SHOWN)
        try:
            shown = [(row, self._client.shown_request(row.lead_id, row.body)) for row in rows]
        except LoftyConfigurationError as error:
            self._log.warning("no request can be shown: %s", error)
            return
        for row, lines in shown:
            self._log.info(
                "::group::The request for row %d, as it would be sent to %s", row.row_number, self._client.host
            )
            for line in lines:
                self._log.info("%s", line)
            self._log.info("::endgroup::")
        if rows:
            pacer = self._client.pacer
            progress = Progress(self.spool.count_pending(), self._log, self._clock)
            progress.plan(pacer.requests_per_minute, pacer.knows_limit, self._deadline - self._clock())

    def _load_history(self) -> Loaded:
        """Give the rows what earlier tries and runs know of them."""
        if self._policy.preview:
            return Loaded()
        loaded = self._journal.load(self.spool)
        self.spool.history.apply()
        self._has_recalled = True
        self._refuse_another_input(loaded)
        delivered = self.spool.counts()[Outcome.ALREADY_DELIVERED]
        if not self._knows_all:
            self._log.warning(
                "this task ran before and left no journal of all that it sent: every lead is read before anything is "
                "sent to it"
            )
        if (self._is_later_try and self._knows_all) or delivered or loaded.doubtful:
            self._log.info(
                "resuming: %s delivered, %s in doubt, %s to send",
                *map(_grouped, (delivered, len(loaded.doubtful), self.spool.count_pending())),
            )
        return loaded

    def _refuse_another_input(self, loaded: Loaded) -> None:
        delivered, gone = loaded.delivered, loaded.gone
        if loaded.before is None or gone <= _MOST_GONE * delivered:
            return
        unseen = self.spool.input_sample().unseen_since(loaded.before)
        if unseen >= gone / 2:
            raise LoftyConfigurationError(
                f"{gone} of the {delivered} rows that earlier tries delivered are not in the input any more, and about "
                f"{unseen} that were not there stand in it: it is another input (a query with now(), a changed mapping "
                "or unique_key), and rows would be sent twice. Nothing was sent. Make the source give the same rows "
                "on every try, or start a new Dag run"
            )

    def _doubtful(self, loaded: Loaded) -> list[tuple[Intent, PendingRow | None]]:
        """What earlier tries left in doubt, each with its row where the input has it."""
        rows = {row.row_key: row for row in self.spool.doubtful()}
        found: list[tuple[Intent, PendingRow | None]] = []
        for intent in loaded.doubtful:
            row = rows.pop(intent.row_key, None)
            if row is None and self.spool.history.has_row(intent.row_key):
                continue
            if row is None and not self._knows_all:
                # It was another source, and so perhaps another unique_key: the same activity under another identity.
                row = self.spool.take_twin(intent.trace.trace_hash, intent.attempts)
            found.append((intent, row))
        self._carried_over = sum(row is None for _, row in found)
        return found + [(intent_of(row, row.attempts), row) for row in rows.values()]

    def refuse_overwriting(self, files: list[str]) -> None:
        """
        Do not let the report take the place of a file that is to be read.

        :raises LoftyConfigurationError: when it would; no report is written then
        """
        report = self._report
        if report is not None and report.is_one_of(files):
            self._report = None
            raise LoftyConfigurationError(f"report_path {report.path} is a file of the source; nothing was sent")

    def _deliver(self, stop: threading.Event, doubtful: list[tuple[Intent, PendingRow | None]]) -> None:
        settings = self._client.settings
        loaded_settle = settings.resumed_settle_seconds
        precheck = Precheck(
            self._policy.check_existing,
            has_lost_journal=not self._knows_all,
            not_before=self._started + loaded_settle,
        )
        conduct = Conduct(
            settings.max_in_flight, self._policy.stop_after_rejections, settings.settle_seconds, loaded_settle,
            settings.intent_ttl_seconds, self._policy.on_unknown, self._deadline,
        )  # fmt: skip
        known = +Counter(self.spool.counts())
        delivery = Delivery(
            self.spool, self._client, self._journal, precheck, conduct, self._log, stop,
            show=partial(self._show, known),
            doubtful=sum(row is not None for _, row in doubtful),
            clock=self._clock, now=self._now, workers=self._workers,
        )  # fmt: skip
        left = self.spool.read - known.total()
        self._publisher.publish(phase=SENDING, read=self.spool.read, outcomes=dict(known), left=left)
        try:
            delivery.take_doubts(doubtful)
            self._stopped = delivery.run()
        finally:
            self._sent, self._read_backs = delivery.sent, delivery.read_backs
            self._may_settle_later = delivery.may_settle_later
            self._client.close()
        if self._stopped is not None:
            self.spool.close_books(Outcome.NOT_ATTEMPTED, f"the run stopped first: {self._stopped.reason}")

    def _show(self, known_before: Counter[str], progress: Progress) -> None:
        if not self._publisher.is_due:
            return
        self._publisher.publish(
            phase=SENDING,
            read=self.spool.read,
            outcomes=dict(known_before + progress.counts),
            left=max(progress.left, 0),
            in_doubt=progress.in_doubt,
            rows_per_minute=round(progress.rows_per_minute, 1),
            seconds_left=progress.seconds_left,
            requests=self._client.requests_made,
            throttled=self._client.times_throttled,
            limit=self._client.pacer.limit,
            cap=self._client.cap,
        )

    @contextmanager
    def closing_books(self) -> Iterator[None]:
        """Whatever happens inside: close the books, write the report, push the summary."""
        try:
            yield
        except Exception as error:
            self._account(f"the run failed first ({type(error).__name__})")
            self._push_summary()
            self._show_end()
            raise
        except BaseException as error:
            # A time-out may have struck inside a call to Airflow, whose answers would then be mixed up: no XCom.
            self._account(f"the run was ended first ({type(error).__name__})")
            raise
        self._account("the run ended first")
        self._show_end()

    def _push_summary(self) -> None:
        """A failed try returns nothing."""
        self._publisher.push(BaseXCom.XCOM_RETURN_KEY, self.summary)

    def _show_end(self) -> None:
        if self._policy.preview:
            self._publisher.publish(phase=ENDED, summary=self.summary)
        else:
            client = self._client
            self._publisher.publish(phase=ENDED, limit=client.pacer.limit, cap=client.cap, summary=self.summary)

    def _account(self, reason: str) -> None:
        spool = self.spool
        spool.flush()
        spool.close_books(Outcome.NOT_ATTEMPTED, reason)
        self._write_report()
        self._log_failed_rows()
        client = self._client
        self.summary = summary(
            spool,
            seconds=self._clock() - self._started,
            requests=client.requests_made,
            throttled=client.times_throttled,
            read_backs=self._read_backs,
            carried_over=self._carried_over,
            report_path=self._report.path if self._report and not self._report_error else None,
        )
        self._log.info("summary: %s", json.dumps(self.summary))

    def _write_report(self) -> None:
        if self._report is None:
            return
        if self._is_later_try and not self._has_recalled and not self._policy.preview:
            # What earlier tries delivered is not known here; given back, such a report would send it again.
            self._report_error = "no report was written: the run ended before it knew what earlier tries delivered"
            self._log.warning("%s", self._report_error)
            return
        try:
            self._report.write(self.spool)
        except Exception as error:  # each file system fails in its own way; the rows' outcomes matter more
            self._report_error = f"the report {self._report.path} could not be written: {type(error).__name__}"
            self._log.error("%s", self._report_error)
        else:
            self._log.info("report: %s", self._report.path)

    def _log_failed_rows(self) -> None:
        place = self.spool.place
        for row in self.spool.failed_rows(_MOST_ROWS_LOGGED):
            self._log.error(
                "%s: %s%s: %s", place(row.source, row.row_number), row.outcome,
                f", lead {row.lead_id}" if row.lead_id else "", row.error,
            )  # fmt: skip
        more = self.spool.count_failed() - _MOST_ROWS_LOGGED
        if more > 0:
            see = "see the report" if self._report else "set report_path to see all of them"
            self._log.error("… and %d more, %s", more, see)

    def raise_for_outcome(self) -> None:
        """
        Decide whether the task is green.

        :raises LoftyError: when it is not; the summary is pushed first
        """
        error = self._failure()
        if error is not None:
            self._push_summary()
            raise error
        if not self.spool.read:
            self._log.warning("the source had no rows; nothing was sent")

    def _failure(self) -> LoftyError | None:
        read, counts = self.summary["read"], self._counts()
        if read != sum(counts.values()):
            return LoftyRowsFailed(f"the books do not balance: {read} rows read, {_counted(counts)}")
        if self._gate is not None:
            return LoftyRowsFailed(f"nothing was sent: {self._gate}. {self._told()}")
        if self._stopped is not None:
            return self._failure_of_stop(self._stopped)
        failed = self.spool.count_failed()
        if self._policy.max_failed.is_exceeded_by(failed, read):
            if self._may_settle_later and counts[Outcome.UNKNOWN]:
                return LoftyDeliveryIncomplete(f"rows are in doubt that a retry may settle. {self._told()}")
            allowed = f"more than max_failed_rows={self._policy.max_failed} allows"
            return LoftyRowsFailed(f"{failed} of {read} rows failed, {allowed}. {self._told()}")
        if self._report_error is not None:
            return LoftyRowsFailed(f"{self._report_error}. {self._told()}")
        return None

    def _failure_of_stop(self, stop: Stop) -> LoftyError:
        message = f"stopped: {stop.reason}. {self._told()}"
        if stop.error is not None:
            failure: LoftyError = type(stop.error)(message)
            return failure
        if stop.kind is StopKind.REJECTIONS:
            return LoftyRowsFailed(message)
        return LoftyDeliveryIncomplete(f"{message} A retry goes on from here")

    def disk_error(self, error: Exception) -> LoftyError:
        """Tell that the spool on local disk failed, most likely because the disk is full."""
        what = f"the spool on local disk failed ({error}); free space, or point TMPDIR to another disk"
        if self._sent:
            return LoftyDeliveryIncomplete(f"{what}. {self._sent} rows had been sent; a retry goes on from there")
        return LoftySourceNotReady(f"{what}. Nothing was sent")

    def _told(self) -> str:
        """Counts and the largest errors, each with an example row."""
        errors = "; ".join(
            f"{group['count']} × {group['outcome']} such as row {group['example_row']} of {group['example_source']}: "
            f"{group['error']}"
            for group in self.summary["errors"]
            if group["outcome"] != Outcome.NOT_ATTEMPTED
        )
        report = f" Report: {self.summary['report_path']}." if self.summary["report_path"] else ""
        return f"{_counted(self._counts())}. {errors}{'.' if errors else ''}{report}"

    def _counts(self) -> dict[str, int]:
        return {outcome: self.summary[outcome] for outcome in OUTCOMES}


@contextmanager
def _journal_errors() -> Iterator[None]:
    """Say what a journal that fails before the first row means."""
    try:
        yield
    except JournalUnusable as error:
        raise LoftyConfigurationError(f"the journal cannot be used: {error}. Nothing was sent") from None
    except JournalError as error:
        raise LoftyDeliveryIncomplete(
            f"the journal cannot be used: {error}. Nothing was sent; a retry is safe"
        ) from None


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "none"
