"""
One run from its first row to its verdict: gates, delivery, books, report, summary, and what to raise in the end.

Whatever ends a run, its books are closed, its report is written and its summary is logged before anything is raised.
"""

from __future__ import annotations

import json
import math
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from airflow.sdk.bases.xcom import BaseXCom

from airflow_provider_lofty.clock import boot_seconds
from airflow_provider_lofty.delivery.delivery import Delivery
from airflow_provider_lofty.delivery.progress import Progress
from airflow_provider_lofty.delivery.stop import Stop
from airflow_provider_lofty.delivery.workers import Came, Workers
from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftyDeliveryIncomplete
from airflow_provider_lofty.journal.journal import Journal, JournalError, Loaded
from airflow_provider_lofty.leads.finding import LeadFinder
from airflow_provider_lofty.lofty.client import LoftyClient
from airflow_provider_lofty.lofty.lead_keys import KeyKind
from airflow_provider_lofty.log import Log
from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.profile.remarks import remarks_on
from airflow_provider_lofty.report.status import Status
from airflow_provider_lofty.report.summary import Summary, errors_so_far, summary_of
from airflow_provider_lofty.report.writer import Report
from airflow_provider_lofty.rows.mapping import RowMapping
from airflow_provider_lofty.rows.source import Take
from airflow_provider_lofty.run.approval import Approval
from airflow_provider_lofty.run.ingest import Ingest, mapping_errors
from airflow_provider_lofty.run.pace import LearnedPace
from airflow_provider_lofty.run.policy import Policy
from airflow_provider_lofty.run.preview import show_preview
from airflow_provider_lofty.run.publisher import StatusPublisher
from airflow_provider_lofty.run.resume import Doubts, doubts_of, journal_errors, load_history, refuse_different_input
from airflow_provider_lofty.run.verdict import Ending, counts_text, failure_of, failure_of_disk
from airflow_provider_lofty.spool.books import FailureGroup
from airflow_provider_lofty.spool.spool import Spool

if TYPE_CHECKING:
    from airflow_provider_lofty.run.cursor import Cursor

_MOST_FAILURES_LOGGED = 50
_CLOSE_BELOW = 0.95  # of a limit that refusals have shown, which is a little more than the server's own


class Run:
    """
    One run: what was read, what came of it, and what is reported about it.

    :param policy: the author's limits
    :param client: makes the requests
    :param journal: remembers across tries and runs
    :param report: where every row's outcome goes, if anywhere
    :param log: the task's log
    :param publisher: shows whoever looks how far the run is, and gets the summary of a run that fails
    :param is_later_try: whether this task ran before, in a try or before a clear
    :param is_mapped: whether the task is one of those that a mapped task was expanded to
    :param may_retry: whether another try will follow, should this one fail
    :param deadline: when to stop, by the clock
    :param clock: seconds, which also pass while the machine is suspended
    :param now: seconds since 1970
    :param workers: makes the threads that make requests, so many at once
    :param pace: what earlier tries learned of a limit that Lofty does not state, and where this one leaves it
    :param cursor: reads only what is new
    :param approval: the only input that may be sent
    :ivar sources: the names of the sources read
    :ivar summary: what came of the rows; None until the books are closed
    """

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
        is_mapped: bool = False,
        may_retry: bool = True,
        deadline: float = math.inf,
        clock: Callable[[], float] = boot_seconds,
        now: Callable[[], float] = time.time,
        workers: Callable[[int], Workers[Came]] = Workers,
        pace: LearnedPace | None = None,
        cursor: Cursor | None = None,
        approval: Approval | None = None,
    ) -> None:
        self._policy = policy
        self._client = client
        self._journal = journal
        self._report = report
        self._log = log
        self._publisher = publisher
        self._is_later_try = is_later_try
        self._is_mapped = is_mapped
        self._may_retry = may_retry
        self._deadline = deadline
        self._clock = clock
        self._now = now
        self._workers = workers
        self._pace = pace or LearnedPace(None, log, clock)
        self._cursor = cursor
        self._approval = approval
        self._started = clock()
        self._has_gaps = False
        self._has_read = False
        self._has_history = policy.preview or not is_later_try
        self._carried_over = 0
        self._remarks: list[str] = []
        self._delivery: Delivery | None = None
        self._digest: str | None = None
        self._gate: str | None = None
        self._stop: Stop | None = None
        self._report_error: str | None = None
        self._logged: set[FailureGroup] = set()
        self._spool: Spool
        self.sources: list[str] = []
        self.summary: Summary | None = None

    @property
    def host(self) -> str:
        """Base URL of the Lofty that rows go to."""
        return self._client.host

    def refuse_overwriting(self, files: list[str]) -> None:
        """
        Do not let the report take the place of a file that is to be read.

        :raises LoftyConfigurationError: when it would; no report is written then
        """
        report = self._report
        if report is not None and report.is_one_of(files):
            self._report = None
            raise LoftyConfigurationError(f"report_path {report.path} is a file of the source; nothing was sent")

    def execute(self, read: Callable[[Take], None], mapping: RowMapping, stop: threading.Event) -> Summary:
        """
        Read, check, send, report.

        :param read: opens the source and hands it over
        :param mapping: how rows become activities
        :param stop: set from outside to end the run
        :raises LoftyError: when the task is not green; the summary is pushed first
        """
        if not self._policy.preview:
            self._begin()
        try:
            with closing(Spool(keep_cells=self._report is not None)) as self._spool:
                self.sources = self._spool.sources
                summary = self._closing_books(lambda: self._read_and_send(read, mapping, stop))
                self._raise_for_outcome(summary)
        except sqlite3.Error as error:
            raise failure_of_disk(error, self._delivery.sent if self._delivery else 0) from None
        return summary

    def _begin(self) -> None:
        """Try the connection's settings and open the journal: what cannot work fails before anything is read."""
        self._client.prepare()
        self._publisher.note(Status(lead_url=self._client.settings.lead_url))
        self._heed_profile()
        with journal_errors():
            self._has_gaps = self._journal.begin(is_later_try=self._is_later_try)
        self._pace.recall(self._client)

    def _heed_profile(self) -> None:
        """Before the first row: see that the connection's profile is of this account, and say what follows from it."""
        settings = self._client.settings
        try:
            self._client.confirm_account()
        except BaseException:
            self._client.close()
            raise
        self._remarks = remarks_on(settings.profile, settings.settle_seconds)
        for remark in self._remarks:
            self._log.warning("%s", remark)
        if self._remarks:
            self._publisher.publish(Status(profile_remarks=self._remarks))

    def _read_and_send(self, read: Callable[[Take], None], mapping: RowMapping, stop: threading.Event) -> None:
        ingest = Ingest(mapping, self._spool, self._log, self._publisher, self._clock)
        take = ingest.take if self._cursor is None else self._open(self._cursor, ingest.take)
        with mapping_errors():
            read(take)
            ingest.finish()
        self._has_read = True
        self._publisher.note(Status(columns=ingest.renamed))
        try:
            self._send(stop, mapping.match_by)
        finally:
            self._client.close()

    def _open(self, cursor: Cursor, take: Take) -> Take:
        with journal_errors():
            cursor.open()
        return cursor.watching(take, self._spool)

    def _send(self, stop: threading.Event, match_by: Sequence[KeyKind]) -> None:
        """Send what was read, unless a gate is closed or this is a preview."""
        self._digest = self._digest_of_input()
        refusal = self._refusal()
        loaded = Loaded() if self._policy.preview else self._resume()
        spool, counts = self._spool, self._spool.books.counts()
        waiting = spool.count_pending()
        self._log.info("%d rows read, %d to send; of the others %s", spool.read, waiting, counts_text(counts))
        if counts[Outcome.INVALID]:
            self._log_failures()
        self._gate = self._policy.closed_gate(spool.read, counts[Outcome.INVALID]) or refusal
        if self._gate is not None:
            self._close_books(self._gate)
        elif self._policy.preview:
            show_preview(
                spool, self._client, self._log, self._clock, self._deadline, match_by, may_retry=self._may_retry
            )
            spool.books.close(Outcome.WOULD_SEND)
        else:
            if match_by:
                self._publish_errors(counts)
                self._find_leads(stop, match_by)
                waiting = spool.count_pending()
            doubts = doubts_of(loaded, spool, has_gaps=self._has_gaps)
            self._carried_over = sum(row is None for _, row in doubts)
            if waiting or doubts:
                with journal_errors():
                    self._journal.start(spool.input_sample())
                self._deliver(stop, doubts)

    def _digest_of_input(self) -> str | None:
        """Name what was read, before anything is known of it from elsewhere."""
        try:
            digest = self._spool.input_digest.of(self.host)
        except LoftyConfigurationError:  # no host: there is no connection, which a preview may do without
            return None
        self._log.info("digest of the rows that are valid: %s", digest)
        return digest

    def _refusal(self) -> str | None:
        """Say why these rows are not those that were approved."""
        if self._approval is None:
            return None
        return self._approval.refusal(self._digest, self._spool.input_digest)

    def _resume(self) -> Loaded:
        loaded = load_history(self._journal, self._spool)
        self._has_history = True
        refuse_different_input(loaded, self._spool, is_mapped=self._is_mapped)
        delivered = self._spool.books.counts()[Outcome.ALREADY_DELIVERED]
        if self._has_gaps:
            self._log.warning(
                "this task ran before and left no journal of all that it sent: every lead is read before anything is "
                "sent to it"
            )
        if (self._is_later_try and not self._has_gaps) or delivered or loaded.doubtful:
            self._log.info(
                "resuming: %s delivered, %s in doubt, %s to send",
                *map(_grouped, (delivered, len(loaded.doubtful), self._spool.count_pending())),
            )
        return loaded

    def _find_leads(self, stop: threading.Event, match_by: Sequence[KeyKind]) -> None:
        """Give the rows that lack their lead one, or the outcome ``unmatched``."""
        spool, before = self._spool, self._spool.count_pending()
        finder = LeadFinder(spool.lead_book, self._client, self._log, partial(self._go_on, stop), self._clock)
        finder.find(match_by)
        spool.lead_book.assign(has_gaps=self._has_gaps)
        self._log.info(
            "leads: %d rows to send have one, %d have none", spool.count_pending(), before - spool.count_pending()
        )

    def _go_on(self, stop: threading.Event) -> None:
        """Before a request for leads: see whether the run may go on, and keep its claims alive."""
        if stop.is_set() or self._clock() >= self._deadline:
            why = "the task was told to stop" if stop.is_set() else "execution_timeout is near"
            raise LoftyDeliveryIncomplete(f"stopped while looking leads up: {why}. Nothing was sent; a retry is safe")
        with journal_errors():
            self._journal.heartbeat()

    def _deliver(self, stop: threading.Event, doubts: Doubts) -> None:
        known = +Counter(self._spool.books.counts())
        left = self._spool.read - known.total()
        self._delivery = delivery = self._make_delivery(stop, known)
        self._publisher.publish(Status(phase="sending", read=self._spool.read, outcomes=dict(known), left=left,
                                       errors=errors_so_far(self._spool)))  # fmt: skip
        delivery.take_doubts(doubts)
        self._stop = delivery.run()
        self._pace.keep(self._client, now=True)
        if self._stop is not None:
            self._close_books(f"the run stopped first: {self._stop.reason}")

    def _close_books(self, reason: str) -> None:
        """Rows without an outcome were not attempted, unless an earlier try that left no journal may have sent them."""
        books = self._spool.books
        if self._has_gaps:
            error = f"perhaps sent by an earlier try, which left no journal, and not looked for at its lead: {reason}"
            books.close_unread(error, self._delivery.proved if self._delivery else {})
        books.close(Outcome.NOT_ATTEMPTED, reason)

    def _make_delivery(self, stop: threading.Event, known: Counter[str]) -> Delivery:
        policy = self._policy
        return Delivery(
            self._spool, self._client, self._journal, self._log, stop,
            check_existing=policy.check_existing, on_unknown=policy.on_unknown,
            stop_after_rejections=policy.stop_after_rejections, has_gaps=self._has_gaps, may_retry=self._may_retry,
            began=self._started, deadline=self._deadline, show=partial(self._publish_progress, known),
            clock=self._clock, now=self._now, workers=self._workers,
        )  # fmt: skip

    def _publish_errors(self, counts: Mapping[str, int]) -> None:
        """Show what is wrong with the input before leads are looked up; later it goes with the rest."""
        if counts[Outcome.INVALID] and self._publisher.is_live:
            known, spool = +Counter(counts), self._spool
            self._publisher.publish(Status(read=spool.read, outcomes=dict(known), errors=errors_so_far(spool)))

    def _publish_progress(self, known: Counter[str], progress: Progress) -> None:
        self._pace.keep(self._client)
        if not self._publisher.is_due:
            return
        client = self._client
        self._publisher.publish(Status(
            phase="sending",
            read=self._spool.read,
            outcomes=dict(known + progress.counts),
            left=max(progress.left, 0),
            in_doubt=progress.in_doubt,
            rows_per_minute=round(progress.rows_per_minute, 1),
            seconds_left=progress.seconds_left,
            requests=client.requests_made,
            throttled=client.times_throttled,
            limit=client.pacer.limit,
            cap=client.cap,
        ))  # fmt: skip

    def _closing_books(self, work: Callable[[], None]) -> Summary:
        """Whatever happens: close the books, write the report, publish the summary."""
        try:
            work()
        except Exception as error:
            summary = self._account(f"the run failed first ({type(error).__name__})")
            self._push_summary(summary)
            self._publish_end(summary)
            raise
        except BaseException as error:
            # A time-out may have struck inside a call to Airflow, whose answers would then be mixed up: no XCom.
            self._account(f"the run was ended first ({type(error).__name__})")
            raise
        summary = self._account("the run ended first", is_whole=True)
        self._publish_end(summary)
        return summary

    def _account(self, reason: str, *, is_whole: bool = False) -> Summary:
        """
        Close the books, write the report, sum up.

        :param is_whole: the input was read to its end, and nothing unforeseen has happened since
        """
        spool, client = self._spool, self._client
        spool.flush()
        self._close_books(reason)
        self._write_report()
        self._log_failures()
        if self._cursor is not None and is_whole and not self._policy.preview:
            self._move(self._cursor)
        self.summary = summary_of(
            spool,
            seconds=self._clock() - self._started,
            requests=client.requests_made,
            throttled=client.times_throttled,
            read_backs=self._delivery.read_backs if self._delivery else 0,
            seconds_in_doubt=math.ceil(self._delivery.seconds_in_doubt) if self._delivery else 0,
            limit=None if self._policy.preview else client.pacer.limit,
            carried_over=self._carried_over,
            report_path=self._report.path if self._report and not self._report_error else None,
            learned_limit=self._learned_limit(),
            digest=self._digest,
            cursor=None if self._cursor is None else self._cursor.summary,
            profile_remarks=self._remarks,
        )
        self._log.info("summary: %s", _counts_as_json(self.summary))
        return self.summary

    def _learned_limit(self) -> int | None:
        """What requests_per_minute is worth setting to, where only refusals show it; logged, as it saves them."""
        if self._delivery is None or (found := self._client.pacer.learned_limit) is None:
            return None
        limit = max(math.floor(found * _CLOSE_BELOW), 1)
        self._log.info(
            "Lofty states no limit, and refused requests above about %d a minute: set requests_per_minute to about %d, "
            "and the next run is not refused while it finds out", found, limit,
        )  # fmt: skip
        return limit

    def _move(self, cursor: Cursor) -> None:
        """Let the next run go on from what this one has settled."""
        delivery = self._delivery
        may_settle = delivery is None or self._stop is not None or delivery.may_settle_later
        try:
            cursor.close(self._spool, with_doubts=may_settle, is_reported=not self._report_error)
        except JournalError as error:
            cursor.fail(error)

    def _write_report(self) -> None:
        if not self._has_read and not self._spool.read:
            self._report = None  # the source could not be read: no report, rather than one that says nothing
        if self._report is None:
            return
        if not self._has_history:
            # What earlier tries delivered is not known here; given back, such a report would send it again.
            self._report_error = "no report was written: the run ended before it knew what earlier tries delivered"
            self._log.warning("%s", self._report_error)
            return
        try:
            self._report.write(self._spool)
        except Exception as error:  # each file system fails in its own way; the rows' outcomes matter more
            self._report_error = f"the report {self._report.path} could not be written: {type(error).__name__}"
            self._log.error("%s", self._report_error)
        else:
            self._log.info("report: %s", self._report.path)

    def _log_failures(self) -> None:
        """
        Log the first row of each kind of failure: a thousand that failed alike would hide the one that did not.

        What was invalid from the start is known before the first request, and logged then; each kind is logged once.
        """
        books = self._spool.books
        groups = [g for g in books.failure_groups(_MOST_FAILURES_LOGGED) if g.outcome != Outcome.NOT_ATTEMPTED]
        new = [group for group in groups if group not in self._logged]
        for group in new:
            self._log.error(
                "%s%s: %s%s: %s", self._spool.place(group.source, group.row_number, group.line),
                f" and {_grouped(group.rows - 1)} more that failed alike" if group.rows > 1 else "", group.outcome,
                f", lead {group.lead_id}" if group.lead_id else "", group.error,
            )  # fmt: skip
        self._logged.update(new)
        if new and books.count_failed() > len(groups):
            self._log.error("%s", "the report has each row" if self._report else "set report_path to see each row")

    def _push_summary(self, summary: Summary) -> None:
        """A failed try returns nothing."""
        self._publisher.push(BaseXCom.XCOM_RETURN_KEY, msgspec.to_builtins(summary))

    def _publish_end(self, summary: Summary) -> None:
        client = self._client
        has_limit = not self._policy.preview
        quota = Status(limit=client.pacer.limit, cap=client.cap) if has_limit else Status()
        self._publisher.publish(msgspec.structs.replace(quota, phase="ended", summary=summary, errors=[]))

    def _raise_for_outcome(self, summary: Summary) -> None:
        delivery = self._delivery
        ending = Ending(
            summary=summary,
            failed=self._spool.books.count_failed(),
            gate=self._gate,
            stop=self._stop,
            may_settle_later=delivery is not None and delivery.may_settle_later,
            blind_spot=delivery.blind_spot if delivery is not None else "",
            report_error=self._report_error,
        )
        error = failure_of(ending, self._policy.max_failed, self._policy.max_unmatched)
        if error is not None:
            self._push_summary(summary)
            raise error
        if not self._spool.read:
            self._log.warning("the source had no rows; nothing was sent")


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _counts_as_json(summary: Summary) -> str:
    """The errors are logged by themselves."""
    counts = msgspec.to_builtins(summary)
    del counts["errors"]
    return json.dumps(counts)
