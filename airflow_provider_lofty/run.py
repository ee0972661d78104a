"""
One run from its first row to its verdict: gates, books, report, summary, and what to raise in the end.

Whatever ends a run, its books are closed, its report is written and its summary told before anything is raised.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from airflow_provider_lofty.delivery import Delivery, Stop, StopKind
from airflow_provider_lofty.exceptions import (
    AirflowFailException,
    AirflowTaskTimeout,
    LoftyConfigurationError,
    LoftyDeliveryCutShort,
    LoftyDeliveryIncomplete,
    LoftyError,
    LoftyRowsFailed,
    LoftySourceNotReady,
)
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.limits import Limit
from airflow_provider_lofty.logs import Log
from airflow_provider_lofty.report import Report, summary
from airflow_provider_lofty.spool import INVALID, NOT_ATTEMPTED, OUTCOMES, WOULD_SEND, Spool

_MOST_ROWS_LOGGED = 50
_NO_RETRY = "No retry, which would send the delivered rows again: give the report back as the source"


@dataclass(frozen=True)
class Policy:
    """
    When a run must not begin, when it stops, and when it has failed.

    :param stop_after_rejections: so many different leads refused alike, before any success, end the run
    :param preview: do all but send
    :raises LoftyConfigurationError: when a number makes no sense
    """

    max_failed: Limit
    max_invalid: Limit
    max_rows: Limit
    stop_after_rejections: int
    preview: bool

    def __post_init__(self) -> None:
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
    :param hook: makes the requests
    :param report: where every row's outcome goes, if anywhere
    :param log: the task's log
    :param push: gets the summary of a run that fails, before the error is raised
    """

    spool: Spool

    def __init__(
        self,
        policy: Policy,
        hook: LoftyHook,
        report: Report | None,
        log: Log,
        push: Callable[[dict[str, Any]], None],
    ) -> None:
        self._policy = policy
        self._hook = hook
        self._report = report
        self._log = log
        self._push = push
        self._started = time.monotonic()
        self._gate: str | None = None
        self._stopped: Stop | None = None
        self._sent = 0
        self._report_error: str | None = None
        self.summary: dict[str, Any] = {}

    def send(self, stop: threading.Event) -> None:
        """Send what was read, unless a gate is closed or this is a preview."""
        read, counts = self.spool.read, self.spool.counts()
        waiting = read - sum(counts.values())
        self._gate = self._policy.closed_gate(read, counts[INVALID])
        self._log.info("%d rows read, %d to send; of the others %s", read, waiting, _counted(counts))
        if self._gate is not None:
            self.spool.close_books(NOT_ATTEMPTED, self._gate)
        elif self._policy.preview:
            self.spool.close_books(WOULD_SEND)
        elif waiting:
            self._deliver(stop)

    def spare(self, files: list[str]) -> None:
        """
        Do not let the report take the place of a file that is to be read.

        :raises LoftyConfigurationError: when it would; no report is written then
        """
        report = self._report
        if report is not None and report.is_one_of(files):
            self._report = None
            raise LoftyConfigurationError(f"report_path {report.path} is a file of the source; nothing was sent")

    def _deliver(self, stop: threading.Event) -> None:
        delivery = Delivery(
            self.spool, self._hook, self._log, stop,
            max_in_flight=self._hook.settings.max_in_flight,
            stop_after_rejections=self._policy.stop_after_rejections,
        )  # fmt: skip
        try:
            self._stopped = delivery.run()
        finally:
            self._sent = delivery.sent
            self._hook.close()
        if self._stopped is not None:
            self.spool.close_books(NOT_ATTEMPTED, f"the run stopped first: {self._stopped.reason}")

    @contextmanager
    def accounted_for(self) -> Iterator[None]:
        """Whatever happens inside: close the books, write the report, push the summary."""
        try:
            yield
        except Exception as error:
            self._account(f"the run failed first ({type(error).__name__})")
            self._push(self.summary)
            self._prevent_retry(error)
            raise
        except BaseException as error:
            # A time-out may have struck inside a call to Airflow, whose answers would then be mixed up: no XCom.
            self._account(f"the run was ended first ({type(error).__name__})")
            if isinstance(error, AirflowTaskTimeout):
                self._prevent_retry(error)
            raise
        self._account("the run ended first")

    def _prevent_retry(self, error: BaseException) -> None:
        """
        Once rows were sent, let no error through that Airflow would retry.

        :raises LoftyDeliveryCutShort: instead of such an error
        """
        if self._sent and not isinstance(error, AirflowFailException):
            raise LoftyDeliveryCutShort(f"{type(error).__name__} ended the run. {self._told()} {_NO_RETRY}") from error

    def _account(self, reason: str) -> None:
        spool = self.spool
        spool.flush()
        spool.close_books(NOT_ATTEMPTED, reason)
        self._write_report()
        self._log_failed_rows()
        hook = self._hook
        self.summary = summary(
            spool,
            seconds=time.monotonic() - self._started,
            requests=hook.requests_made,
            throttled=hook.times_throttled,
            report_path=self._report.path if self._report and not self._report_error else None,
        )
        self._log.info("summary: %s", json.dumps(self.summary))

    def _write_report(self) -> None:
        if self._report is None:
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

    def judge(self) -> None:
        """
        Decide whether the task is green.

        :raises LoftyError: when it is not; the summary is pushed first
        """
        error = self._failure()
        if error is not None:
            self._push(self.summary)
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
            allowed = f"more than max_failed_rows={self._policy.max_failed} allows"
            return LoftyRowsFailed(f"{failed} of {read} rows failed, {allowed}. {self._told()}")
        if self._report_error is not None:
            return LoftyRowsFailed(f"{self._report_error}. {self._told()}")
        return None

    def _failure_of_stop(self, stop: Stop) -> LoftyError:
        message = f"stopped: {stop.reason}. {self._told()}"
        if stop.error is not None:
            return type(stop.error)(message)
        if stop.kind is StopKind.REJECTIONS:
            return LoftyRowsFailed(message)
        if self._sent:
            return LoftyDeliveryCutShort(f"{message} {_NO_RETRY}")
        return LoftyDeliveryIncomplete(f"{message} Nothing was sent; a retry is safe")

    def disk_error(self, error: Exception) -> LoftyError:
        """Tell that the spool on local disk failed, most likely because the disk is full."""
        what = f"the spool on local disk failed ({error}); free space, or point TMPDIR to another disk"
        if self._sent:
            return LoftyDeliveryCutShort(f"{what}. {self._sent} rows had been sent, so there is no retry")
        return LoftySourceNotReady(f"{what}. Nothing was sent")

    def _told(self) -> str:
        """Counts and the largest errors, each with an example row."""
        errors = "; ".join(
            f"{group['count']} × {group['outcome']} such as row {group['example_row']} of {group['example_source']}: "
            f"{group['error']}"
            for group in self.summary["errors"]
            if group["outcome"] != NOT_ATTEMPTED
        )
        report = f" Report: {self.summary['report_path']}." if self.summary["report_path"] else ""
        return f"{_counted(self._counts())}. {errors}{'.' if errors else ''}{report}"

    def _counts(self) -> dict[str, int]:
        return {outcome: self.summary[outcome] for outcome in OUTCOMES}


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "none"
