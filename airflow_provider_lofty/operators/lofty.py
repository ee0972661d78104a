"""The operator: the only module that knows a task's context."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_lofty.activity import Mapping as RowMapping, MappingError
from airflow_provider_lofty.delivery import Delivery, Stop, StopKind
from airflow_provider_lofty.exceptions import (
    LoftyConfigurationError,
    LoftyDeliveryCutShort,
    LoftyDeliveryIncomplete,
    LoftyError,
    LoftyRowsFailed,
    LoftySourceNotReady,
)
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.intake import Intake
from airflow_provider_lofty.limits import Limit
from airflow_provider_lofty.report import Report, report_file, summary
from airflow_provider_lofty.sources import Take
from airflow_provider_lofty.spool import INVALID, NOT_ATTEMPTED, OUTCOMES, WOULD_SEND, Spool

if TYPE_CHECKING:
    from airflow.sdk import Context

_MOST_ROWS_LOGGED = 50


class LoftyAddActivityOperator(BaseOperator):
    """
    Send rows to Lofty as lead activities, one request a row, and account for every row.

    Rows are read once, checked, and only then sent. Each gets exactly one outcome; the outcomes add up to the rows
    read. Valid rows are always sent, whatever is wrong with others; afterwards the task fails when more rows failed
    than ``max_failed_rows`` allows.

    :param lofty_conn_id: (templated) connection of type ``lofty``
    :param rows: (templated) the source: an upstream task's output, that is a list of dicts, a DataFrame, one dict
        (one row), or what a mapped upstream gives. Never shown under Rendered Templates
    :param path: (templated) the source: one path or URL or a list, each may be a glob; ``.csv``, ``.tsv``,
        ``.jsonl``, ``.ndjson`` (also ``.gz``) and ``.parquet``, local or in object storage
        (``s3://conn_id@bucket/key``). No file yet: retryable
    :param sql: (templated, also a ``.sql`` file) the source: one statement, with ``source_conn_id``
    :param parameters: (templated) for ``sql``, in the driver's own style
    :param table: (templated) the source: a table, with or without its schema, with ``source_conn_id``
    :param source_conn_id: (templated) connection of the database, any ``DbApiHook``
    :param source_hook_params: (templated) given to that hook when it is made
    :param mapping: field → column, or a callable that gets the row as a dict; laid over matching by name, which
        ignores case, underscores and dots. Fields: ``leadId``, ``type``, ``text``, ``link``, ``picture``,
        ``created``, ``listing.…``, ``scheduledDate``, ``pageName``
    :param defaults: (templated) field → value where the row has none
    :param unique_key: column or columns that identify a row; without it lead id, type, created, text and link do
    :param timezone: IANA zone of timestamps that name none
    :param requests_per_minute: a cap on the pace
    :param max_failed_rows: more failed rows than this fail the task; a number, or a share such as ``"0.5%"``
    :param max_invalid_rows: more invalid rows than this and nothing is sent; a number or a share
    :param max_rows: more rows than this and nothing is sent
    :param stop_after_rejections: so many different leads refused alike, before any success, end the run
    :param report_path: (templated) ``.csv`` or ``.jsonl`` file with every row and its outcome; ending in ``/``: a
        folder, where each Dag run, task, map index and try writes its own ``.csv``. Given back as ``path`` it sends
        what was not delivered
    :param preview: do all but send: no HTTP request is made, valid rows are ``would_send``
    :return: counts by outcome, ``read``, ``carried_over``, ``seconds``, ``requests``, ``throttled``,
        ``read_backs``, ``errors`` (the five largest groups) and ``report_path``; also pushed when the task fails
    :raises LoftyRowsFailed: more rows failed than allowed, or a gate closed; no retry
    :raises LoftyDeliveryIncomplete: an outage or a kill, before anything was sent; retryable
    :raises LoftyDeliveryCutShort: the same after rows had been sent; no retry, give the report back instead
    :raises LoftySourceNotReady: the source could not be read yet; retryable
    :raises LoftyCredentialRefused: no retry
    :raises LoftyConfigurationError: no retry
    """

    template_fields: Collection[str] = (
        "lofty_conn_id",
        "rows",
        "path",
        "sql",
        "parameters",
        "table",
        "source_conn_id",
        "source_hook_params",
        "defaults",
        "report_path",
    )
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = {"sql": "sql", "defaults": "json"}  # noqa: RUF012 - Airflow's own way
    ui_color = "#e4f0ea"

    def __init__(
        self,
        *,
        lofty_conn_id: str = LoftyHook.default_conn_name,
        rows: Any = None,
        path: str | list[str] | None = None,
        sql: str | None = None,
        parameters: Sequence[Any] | Mapping[str, Any] | None = None,
        table: str | None = None,
        source_conn_id: str | None = None,
        source_hook_params: dict[str, Any] | None = None,
        mapping: Mapping[str, str | Callable[[dict[str, Any]], Any]] | None = None,
        defaults: Mapping[str, Any] | None = None,
        unique_key: str | Sequence[str] | None = None,
        timezone: str = "UTC",
        requests_per_minute: float | None = None,
        max_failed_rows: int | str = 0,
        max_invalid_rows: int | str | None = None,
        max_rows: int | None = None,
        stop_after_rejections: int = 20,
        report_path: str | None = None,
        preview: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.lofty_conn_id = lofty_conn_id
        self.rows = rows
        self.path = path
        self.sql = sql
        self.parameters = parameters
        self.table = table
        self.source_conn_id = source_conn_id
        self.source_hook_params = source_hook_params
        self.mapping = mapping
        self.defaults = defaults
        self.unique_key = unique_key
        self.timezone = timezone
        self.requests_per_minute = requests_per_minute
        self.max_failed_rows = max_failed_rows
        self.max_invalid_rows = max_invalid_rows
        self.max_rows = max_rows
        self.stop_after_rejections = stop_after_rejections
        self.report_path = report_path
        self.preview = preview
        self._rendered_rows: Any = None
        self._stop: threading.Event | None = None

    def _do_render_template_fields(self, parent: Any, *args: Any, **kwargs: Any) -> None:
        """Take the rows out of their template field, which Airflow stores and shows under Rendered Templates."""
        super()._do_render_template_fields(parent, *args, **kwargs)
        if parent is self and self.rows is not None and not isinstance(self.rows, str):
            self._rendered_rows, self.rows = self.rows, f"<{type(self.rows).__name__}, not shown>"

    def on_kill(self) -> None:
        """Ask the run to end; it stops sending at once and writes its report."""
        if self._stop is not None:
            self._stop.set()

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, check, send, report."""
        self._stop = stop = threading.Event()
        policy = _Policy(self)
        mapping = _or_misconfigured(lambda: RowMapping(self.mapping, self.defaults, self.unique_key, self.timezone))
        report = self._report(context)
        hook = LoftyHook(self.lofty_conn_id, requests_per_minute=self.requests_per_minute, sleep=partial(_sleep, stop))
        run = _Run(self, context, hook, report)
        read = self._source(run.spare)
        if not self.preview:
            hook.prepare()  # a connection that cannot work fails before anything is read
        try:
            with closing(Spool(keep_cells=report is not None)) as run.spool:
                with run.accounted_for():
                    intake = Intake(mapping, run.spool, self.log)
                    _or_misconfigured(lambda: read(intake.take))
                    _or_misconfigured(intake.finish)
                    run.send_unless(policy, stop)
                run.judge(policy)
        except sqlite3.Error as error:
            raise run.disk_error(error) from None
        return run.summary

    def _source(self, spare: Callable[[list[str]], None]) -> Callable[[Take], None]:
        """Choose the one source; its module is imported only now. Files are named to ``spare`` before any is read."""
        rows = self._rendered_rows if self._rendered_rows is not None else self.rows
        given = {"rows": rows, "path": self.path, "sql": self.sql, "table": self.table}
        names = [name for name, value in given.items() if value is not None]
        if len(names) != 1:
            raise LoftyConfigurationError(
                f"give exactly one source of rows, path, sql and table; got {' and '.join(names) or 'none'}"
                + ("" if names else ". An upstream task that returned None counts as none: let it return []")
            )
        if rows is not None:
            from airflow_provider_lofty.sources.rows import read_rows

            return partial(read_rows, rows)
        if self.path is not None:
            from airflow_provider_lofty.sources.files import read_files

            return partial(read_files, self.path, matched=spare)
        if not self.source_conn_id:
            raise LoftyConfigurationError(f"{names[0]} needs source_conn_id, the connection of the database")
        from airflow_provider_lofty.sources.sql import read_sql

        return lambda take: read_sql(
            str(self.source_conn_id),
            sql=self.sql,
            table=self.table,
            parameters=self.parameters,
            hook_params=self.source_hook_params,
            take=take,
        )

    def _report(self, context: Context) -> Report | None:
        if not self.report_path:
            return None
        ti: Any = context.get("ti")
        place = ("dag", "run", self.task_id, -1, 1) if ti is None else (
            ti.dag_id, ti.run_id, ti.task_id, -1 if ti.map_index is None else ti.map_index, ti.try_number,
        )  # fmt: skip
        return Report(report_file(str(self.report_path), *place))


class _Policy:
    """When a run must not begin, and when it has failed: the operator's limits, checked before anything is read."""

    def __init__(self, operator: LoftyAddActivityOperator) -> None:
        self.max_failed = Limit("max_failed_rows", operator.max_failed_rows)
        self.max_invalid = Limit("max_invalid_rows", operator.max_invalid_rows)
        self.max_rows = Limit("max_rows", operator.max_rows)
        pace, rejections = operator.requests_per_minute, operator.stop_after_rejections
        if pace is not None and not (isinstance(pace, (int, float)) and pace > 0):
            raise LoftyConfigurationError("requests_per_minute must be a number above 0")
        if not isinstance(rejections, int) or rejections < 1:
            raise LoftyConfigurationError("stop_after_rejections must be a whole number of at least 1")

    def closed_gate(self, read: int, invalid: int) -> str | None:
        """Say which gate keeps the run from sending anything."""
        if self.max_rows.is_exceeded_by(read, read):
            return f"{read} rows were read, more than max_rows={self.max_rows} allows"
        if self.max_invalid.is_exceeded_by(invalid, read):
            return f"{invalid} of {read} rows are invalid, more than max_invalid_rows={self.max_invalid} allows"
        return None


class _Run:
    """One execution: what was read, what came of it, and what to tell about it."""

    spool: Spool

    def __init__(
        self,
        operator: LoftyAddActivityOperator,
        context: Context,
        hook: LoftyHook,
        report: Report | None,
    ) -> None:
        self._operator = operator
        self._context = context
        self._hook = hook
        self._report = report
        self._log = operator.log
        self._started = time.monotonic()
        self._gate: str | None = None
        self._stopped: Stop | None = None
        self._sent = 0
        self._report_error: str | None = None
        self.summary: dict[str, Any] = {}

    def send_unless(self, policy: _Policy, stop: threading.Event) -> None:
        """Send, unless a gate is closed, this is a preview, or nothing waits."""
        read, counts = self.spool.read, self.spool.counts()
        waiting = read - sum(counts.values())
        self._gate = policy.closed_gate(read, counts[INVALID])
        self._log.info("%d rows read, %d to send; of the others %s", read, waiting, _counted(counts))
        if self._gate is not None:
            self.spool.close_books(NOT_ATTEMPTED, self._gate)
        elif self._operator.preview:
            self.spool.close_books(WOULD_SEND)
        elif waiting:
            self._send(stop)

    def spare(self, files: list[str]) -> None:
        """
        Do not let the report take the place of a file that is to be read.

        :raises LoftyConfigurationError: when it would; no report is written then
        """
        report = self._report
        if report is not None and report.is_one_of(files):
            self._report = None
            raise LoftyConfigurationError(f"report_path {report.path} is a file of the source; nothing was sent")

    def _send(self, stop: threading.Event) -> None:
        delivery = Delivery(
            self.spool, self._hook, self._log, stop,
            max_in_flight=self._hook.settings.max_in_flight,
            stop_after_rejections=self._operator.stop_after_rejections,
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
            self._push_summary()
            raise
        except BaseException as error:
            # A time-out may have struck inside a call to Airflow, whose answers would then be mixed up: no XCom.
            self._account(f"the run was ended first ({type(error).__name__})")
            raise
        self._account("the run ended first")

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

    def judge(self, policy: _Policy) -> None:
        """
        Decide whether the task is green.

        :raises LoftyError: when it is not; the summary is pushed first
        """
        error = self._failure(policy)
        if error is not None:
            self._push_summary()
            raise error
        if not self.spool.read:
            self._log.warning("the source had no rows; nothing was sent")

    def _failure(self, policy: _Policy) -> LoftyError | None:
        read, counts = self.summary["read"], self._counts()
        if read != sum(counts.values()):
            return LoftyRowsFailed(f"the books do not balance: {read} rows read, {_counted(counts)}")
        if self._gate is not None:
            return LoftyRowsFailed(f"nothing was sent: {self._gate}. {self._told()}")
        if self._stopped is not None:
            return self._failure_of_stop(self._stopped)
        failed = self.spool.count_failed()
        if policy.max_failed.is_exceeded_by(failed, read):
            allowed = f"more than max_failed_rows={policy.max_failed} allows"
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
            return LoftyDeliveryCutShort(
                f"{message} No retry, which would send the delivered rows again: give the report back as the source"
            )
        return LoftyDeliveryIncomplete(f"{message} Nothing was sent; a retry is safe")

    def disk_error(self, error: sqlite3.Error) -> LoftyError:
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

    def _push_summary(self) -> None:
        """A failed try returns nothing, so the summary is pushed by hand."""
        ti: Any = self._context.get("ti")
        if ti is not None and self._operator.do_xcom_push:
            ti.xcom_push(key="return_value", value=self.summary)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "none"


def _sleep(stop: threading.Event, seconds: float) -> None:
    """Wait, but not beyond a stop."""
    if stop.wait(seconds):
        raise LoftyDeliveryIncomplete("the task was told to stop")


def _or_misconfigured(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except MappingError as error:
        raise LoftyConfigurationError(f"{error}; nothing was sent") from None
