"""The operator: the only module that knows a task's context."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_lofty import config
from airflow_provider_lofty.assets import activities, add_counts
from airflow_provider_lofty.clock import boot_seconds
from airflow_provider_lofty.delivery.workers import Came, Workers
from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftyDeliveryIncomplete, LoftyError
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.journal.journal import Journal
from airflow_provider_lofty.journal.retrying import RetryingJournal
from airflow_provider_lofty.links import LoftyReportLink
from airflow_provider_lofty.log import PrintableLog
from airflow_provider_lofty.metrics import measured
from airflow_provider_lofty.operators.approvals import approval_of
from airflow_provider_lofty.operators.arguments import (
    CHECKS,
    boolean,
    check_arguments,
    constants,
    given_sources,
    one_source,
    policy,
    row_mapping,
    shape,
    why_none,
)
from airflow_provider_lofty.operators.cursors import CursorArguments, cursor_of, expanded_over
from airflow_provider_lofty.operators.hidden import hidden, unlisted
from airflow_provider_lofty.operators.journals import preview_journal, task_journal
from airflow_provider_lofty.operators.rendering import AuthoredTemplates, as_mapped, holds_template
from airflow_provider_lofty.operators.sources import database_reader, files_reader, source_names
from airflow_provider_lofty.operators.types import CheckExisting, Fields, FileOptions, MatchBy, OnUnknown
from airflow_provider_lofty.operators.xcoms import XComs, leave_nothing
from airflow_provider_lofty.report.paths import report_file
from airflow_provider_lofty.report.reach import reach_warning
from airflow_provider_lofty.report.status import Failure, Status
from airflow_provider_lofty.report.summary import Summary
from airflow_provider_lofty.report.writer import Report
from airflow_provider_lofty.rows.mapping import zone_named
from airflow_provider_lofty.rows.source import Take
from airflow_provider_lofty.rows.values import plain
from airflow_provider_lofty.run.pace import LearnedPace
from airflow_provider_lofty.run.publisher import StatusPublisher
from airflow_provider_lofty.run.run import Run
from airflow_provider_lofty.task_key import TaskKey

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_lofty.run.cursor import Cursor

_STOP_BEFORE_SECONDS = 30.0
_STOP_BEFORE_SHARE = 0.1  # of execution_timeout


class LoftyAddActivityOperator(AuthoredTemplates):
    """
    Send rows to Lofty as lead activities, one request a row, and account for every row.

    Rows are read once, checked, and only then sent. Each gets exactly one outcome; the outcomes add up to the rows
    read. Valid rows are always sent, whatever is wrong with others; afterwards the task fails when more rows failed
    than ``max_failed_rows`` allows.

    .. code-block:: python

        LoftyAddActivityOperator(
            task_id="send_to_lofty",
            source_conn_id="warehouse",
            sql="SELECT lead_id, 'Browse' AS type, summary AS text, url AS link, seen_at AS created FROM visits",
            defaults={"picture": ""},
            report_path="s3://aws_default@reports/lofty/",
        )

    :param lofty_conn_id: (templated) connection of type ``lofty``
    :param rows: (templated, where it is one string) the source: an upstream task's output, that is a list of dicts or
        of other rows with names, a DataFrame, one dict (one row), or what a mapped upstream gives. Never shown under
        Rendered Templates
    :param path: (templated) the source: one path or URL or a list, each may be a glob; delimited text, JSON lines,
        JSON (also compressed) and Parquet, local or in object storage (``s3://conn_id@bucket/key``). No file yet:
        retryable
    :param sql: (templated, also a ``.sql`` file) the source: one statement, with ``source_conn_id``
    :param parameters: (templated) for ``sql``, in the driver's own style
    :param table: (templated) the source: a table, with or without its schema, with ``source_conn_id``
    :param source_conn_id: (templated) connection of the database, any ``DbApiHook``
    :param source_hook_params: (templated) given to that hook when it is made
    :param columns: names of the cells, for rows that are lists, tuples or arrays and for files without a header
    :param cursor: a column of ``table`` or ``sql`` that only grows: only rows are read that have reached the watermark,
        which lies in the database of ``journal_conn_id`` and is held back by what was not sent. ``sql`` holds a
        parameter named ``cursor`` in the driver's style, and compares with ``>=``
    :param cursor_from: (templated) read from this value on; ``sql`` needs it for its first run. It never moves the
        watermark back
    :param cursor_lag: (templated) read again so much before the watermark, for rows that are committed late: a
        ``timedelta``, a number, or text such as ``"2 hours"``
    :param file_options: (templated) what files are where their names and bytes do not say: a dict of ``format``,
        ``encoding``, ``delimiter``, ``quoting``, ``escape``, ``skip_rows``, ``decimal`` and ``null_values``
    :param mapping: field → column, or a callable that gets the row as a dict; laid over matching by name, which
        ignores case, underscores, hyphens, dots and blanks. Fields: ``leadId``, ``type``, ``text``, ``link``,
        ``picture``, ``created``, ``listing.…``, ``scheduledDate``, ``pageName``
    :param defaults: (templated) field → value where the row has none
    :param unique_key: column or columns that identify a row; without it lead id, type, created, text and link do
    :param match_by: ``"email"``, ``"phone"`` or a list of both, in order: rows without a lead id find their lead by
        their e-mail address or phone number. Each different one is looked up once, or all leads are listed, whichever
        takes fewer requests. A row that no lead has, or several, is ``unmatched``
    :param timezone: IANA zone of timestamps that name none
    :param requests_per_minute: a cap on the pace
    :param durable: (templated) keep the journal, of what is about to be sent and what came of it, in Airflow's task
        state store (3.3 and later), so that tries and clears of this task send no row twice
    :param journal_conn_id: (templated) keep it in a table of this database instead, any ``DbApiHook`` that enforces
        primary keys: shared by runs, Dags, mapped tasks and Airflow versions
    :param check_existing: ``"sample"`` reads the leads of five rows before the first is sent, and all leads if Lofty
        has one of them already; ``"always"`` reads all, ``"never"`` none. A later try that finds no journal reads all.
        Where all are read and none shows a row of a type, one goes first, to see how Lofty shows it
    :param on_unknown: what to do with a row that got no trustworthy answer: ``"verify"`` reads back, and sends again
        (twice at most) what proves not to be stored; ``"report"`` never sends again; ``"resend"`` sends without proof;
        ``"assume_delivered"`` takes it for delivered
    :param max_failed_rows: more failed rows than this fail the task; a number, or a share such as ``"0.5%"``
    :param max_invalid_rows: more invalid rows than this and nothing is sent; a number or a share
    :param max_unmatched_rows: more unmatched rows than this fail the task; a number, a share, or None for any number
    :param max_rows: more rows than this and nothing is sent
    :param stop_after_rejections: so many different leads refused alike, before any success, end the run
    :param report_path: (templated) ``.csv`` or ``.jsonl`` file with every row and its outcome; ending in ``/``: a
        folder, where each Dag run, task, map index and try writes its own ``.csv``. Given back as ``path`` it sends
        what was not delivered
    :param expect_digest: (templated) ``digest`` of a preview's summary: nothing is sent where rows have come, gone or
        changed since. For sources that stand still
    :param preview: (templated) do all but send: no HTTP request is made, valid rows are ``would_send``. The log shows
        the first three requests as they would leave, with their rows' values and the credential masked, and how long
        all take
    :return: counts by outcome, ``read``, ``carried_over``, ``seconds``, ``requests``, ``throttled``,
        ``read_backs``, ``seconds_in_doubt``, ``quota_share``, ``learned_limit``, ``errors`` (the five largest groups),
        ``report_path`` and ``digest``; also pushed when the task fails
    :raises LoftyRowsFailed: more rows failed than allowed, or a gate closed; no retry
    :raises LoftyDeliveryIncomplete: an outage, a kill, ``execution_timeout`` near, or rows still in doubt; retryable
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
        "file_options",
        "cursor_from",
        "cursor_lag",
        "defaults",
        "journal_conn_id",
        "report_path",
        "expect_digest",
        "durable",
        "preview",
    )
    _text_fields = frozenset(template_fields) - {"sql"}  # whatever they end in, they name no file of a template
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = {"sql": "sql", "defaults": "json"}  # noqa: RUF012 - Airflow's own way
    shallow_copy_attrs: Sequence[str] = ("_run", "_stop")  # locks and connections cannot be copied
    operator_extra_links = (LoftyReportLink(),)
    ui_color = "#e4f0ea"

    # Time, chance and threads of the machine that the task runs on; a simulation brings its own.
    _clock: Callable[[], float] = staticmethod(boot_seconds)
    _now: Callable[[], float] = staticmethod(time.time)
    _chance: Callable[[], float] = staticmethod(random.random)
    _new_event: Callable[[], threading.Event] = threading.Event
    _new_workers: Callable[[int], Workers[Came]] = Workers

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
        columns: Sequence[str] | None = None,
        file_options: FileOptions | Mapping[str, Any] | None = None,
        cursor: str | None = None,
        cursor_from: str | int | Decimal | date | None = None,
        cursor_lag: str | float | Decimal | timedelta | None = None,
        mapping: Fields | Mapping[str, str | Callable[[dict[str, Any]], Any]] | None = None,
        defaults: Fields | Mapping[str, Any] | None = None,
        unique_key: str | Sequence[str] | None = None,
        match_by: MatchBy | Sequence[MatchBy] | None = None,
        timezone: str = "UTC",
        requests_per_minute: float | None = None,
        durable: bool | str = True,
        journal_conn_id: str | None = None,
        check_existing: CheckExisting = "sample",
        on_unknown: OnUnknown = "verify",
        max_failed_rows: int | str = 0,
        max_invalid_rows: int | str | None = None,
        max_unmatched_rows: int | str | None = 0,
        max_rows: int | None = None,
        stop_after_rejections: int = 20,
        report_path: str | None = None,
        expect_digest: str | None = None,
        preview: bool | str = False,
        **kwargs: Any,
    ) -> None:
        if "outlets" not in (kwargs.get("default_args") or {}):  # which Airflow applies only where nothing is given
            kwargs.setdefault("outlets", [activities()])
        super().__init__(**kwargs)
        self.lofty_conn_id = lofty_conn_id
        self.rows = rows
        self.path = path
        self.sql = sql
        self.parameters = parameters
        self.table = table
        self.source_conn_id = source_conn_id
        self.source_hook_params = source_hook_params
        self.columns = columns
        self.file_options = file_options
        self.cursor = cursor
        self.cursor_from = cursor_from
        self.cursor_lag = cursor_lag
        self.mapping = mapping
        self.defaults = defaults
        self.unique_key = unique_key
        self.match_by = match_by
        self.timezone = timezone
        self.requests_per_minute = requests_per_minute
        self.durable: Any = durable  # a template, perhaps, until it is rendered
        self.journal_conn_id = journal_conn_id
        self.check_existing = check_existing
        self.on_unknown = on_unknown
        self.max_failed_rows = max_failed_rows
        self.max_invalid_rows = max_invalid_rows
        self.max_unmatched_rows = max_unmatched_rows
        self.max_rows = max_rows
        self.stop_after_rejections = stop_after_rejections
        self.report_path = report_path
        self.expect_digest = expect_digest
        self._needs_approval = expect_digest is not None  # also where it renders to None
        self.preview: Any = preview
        self._rendered_rows: Callable[[], object] | None = None
        self._run: Run | None = None
        self._stop: threading.Event | None = None
        if as_mapped(self) is None:  # a mapped task's are checked when it runs, where its page shows what is wrong
            self._check_constants()

    def _do_render_template_fields(self, parent: object, *args: Any, **kwargs: Any) -> None:
        """
        Take the rows out of their template field, which Airflow stores and shows under Rendered Templates.

        OpenLineage's provider writes an operator's attributes into its events as JSON, so rows and parameters are kept
        in a form that JSON does not have.
        """
        super()._do_render_template_fields(parent, *args, **kwargs)
        if parent is not self:
            return
        rows = self.rows
        if rows is not None:
            self._rendered_rows, self.rows = lambda: rows, hidden(rows)
        if self.parameters:
            self.parameters = unlisted(self.parameters)

    @property
    def _safe_log(self) -> PrintableLog:
        return PrintableLog(self.log)

    def on_kill(self) -> None:
        """Ask the run to end; it stops sending at once and writes its report."""
        if self._stop is not None:
            self._stop.set()

    def get_openlineage_facets_on_complete(self, task_instance: object) -> Any:
        """
        Give OpenLineage what was read and what was sent.

        Called after a failure, too: a failed task often has delivered rows.
        """
        from airflow_provider_lofty.openlineage import Query, lineage

        run = self._run if self._run and self._run.summary else None  # without a summary nothing was read
        summary = msgspec.to_builtins(run.summary) if run else {}
        read_from: Query | list[str] = run.sources if run and self.path is not None else []
        if self.source_conn_id and (self.sql or self.table):
            read_from = Query(self.source_conn_id, self.source_hook_params, self.sql, self.table)
        return lineage(read_from, summary, run.host if run and not self.preview else None)

    get_openlineage_facets_on_failure = get_openlineage_facets_on_complete

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, check, send, report."""
        self._stop = stop = self._new_event()
        xcoms = self._xcoms(context)
        publisher = StatusPublisher(
            xcoms.push if xcoms else leave_nothing, self._safe_log, self._first_facts(context),
            # Before 3.3 a push that fails ends the process that watches over this one.
            is_live="task_state_store" in context, on_lost=stop.set, clock=self._clock, now=self._now,
        )  # fmt: skip
        self._pin_link(context, xcoms, publisher)
        try:
            self._check()
            publisher.publish(Status(phase="reading", preview=self.preview))
            summary: dict[str, Any] = msgspec.to_builtins(self._delivered(context, publisher, stop))
        except Exception as error:
            if isinstance(error, LoftyError) and error.is_retryable and not self._may_retry(context):
                error.add_advice("This task has no retry left: clear it to go on")
            text = str(error) if isinstance(error, LoftyError) else ""  # others' words may hold anything
            publisher.publish(Status(phase="ended", error=Failure(type(error).__name__, text)))
            raise
        self._update_outlets(context, summary)
        return summary

    def _arguments(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in CHECKS}

    def _check_constants(self) -> None:
        """Check what the author wrote while the Dag is parsed; the rest is checked when it is known."""
        templated = partial(holds_template, environment=self.get_template_env())
        given = {**self._arguments(), "rows": None if self.rows is None else ()}  # they may be many
        for name, value in given.items():
            if name not in self.template_fields and templated(value):
                raise LoftyConfigurationError(f"{name} is not templated: give a value that stands in the Dag")
        given_sources(given)
        check_arguments(constants(given, _DEFAULTS, templated))

    def _check(self) -> None:
        try:
            check_arguments(self._arguments())
        except LoftyConfigurationError as error:
            raise LoftyConfigurationError(f"{error}; nothing was sent") from None
        self.durable, self.preview = boolean("durable", self.durable), boolean("preview", self.preview)

    def _delivered(self, context: Context, publisher: StatusPublisher, stop: threading.Event) -> Summary:
        deadline = self._deadline()
        key, report = self._key(context), self._report(context)
        approval = approval_of(
            self, self._arguments(), context.get("ti"), is_needed=self._needs_approval, log=self._safe_log
        )
        of_cursor = self._cursor_arguments()
        column = of_cursor.check()
        hook = LoftyHook(
            self.lofty_conn_id, requests_per_minute=plain(self.requests_per_minute), sleep=partial(_sleep, stop),
            clock=self._clock, now=self._now, chance=self._chance,
        )  # fmt: skip
        kept = self._journal(context, hook)
        with closing(RetryingJournal(kept, self._safe_log, stop, deadline=deadline, clock=self._clock)) as journal:
            cursor = None if column is None else cursor_of(
                of_cursor, column, key, hook, kept, journal,
                zone=zone_named(self.timezone), log=self._safe_log, now=self._now,
            )  # fmt: skip
            self._run = run = Run(
                policy(self._arguments()), hook.client, journal, report, self._safe_log, publisher,
                is_later_try=key.try_number > 1, is_mapped=key.is_mapped, may_retry=self._may_retry(context),
                deadline=deadline, clock=self._clock, now=self._now, workers=self._new_workers, cursor=cursor,
                approval=approval,
                pace=LearnedPace(context.get("task_state_store"), self._safe_log, self._clock),
            )  # fmt: skip
            source = self._source(context, run.refuse_overwriting, cursor)
            with measured(
                lambda: run.summary, key, self._safe_log,
                may_retry=self._may_retry(context), is_preview=self.preview,
            ):  # fmt: skip
                return run.execute(source, row_mapping(self._arguments()), stop)

    def _cursor_arguments(self) -> CursorArguments:
        return CursorArguments(
            cursor=self.cursor, cursor_from=self.cursor_from, cursor_lag=self.cursor_lag,
            sql=self.sql, table=self.table, source_conn_id=self.source_conn_id,
            source_hook_params=self.source_hook_params, journal_conn_id=self.journal_conn_id,
            has_report=bool(self.report_path or config.report_folder()), preview=self.preview,
            expanded_over=expanded_over(self),
        )  # fmt: skip

    def _may_retry(self, context: Context) -> bool:
        """Whether Airflow will retry the task, should this try fail."""
        max_tries = getattr(context.get("ti"), "max_tries", None)
        return max_tries is None or self._key(context).try_number <= max_tries

    def _deadline(self) -> float:
        """When to stop by oneself: Airflow's time-out may strike inside a call to the journal."""
        if self.execution_timeout is None:
            return math.inf
        seconds = self.execution_timeout.total_seconds()
        return self._clock() + seconds - min(_STOP_BEFORE_SECONDS, seconds * _STOP_BEFORE_SHARE)

    def _journal(self, context: Context, hook: LoftyHook) -> Journal:
        if self.preview:
            has_cursor = self.cursor is not None
            return preview_journal(self.journal_conn_id, has_cursor=has_cursor, log=self._safe_log, clock=self._clock)
        return task_journal(
            context, self._key(context), hook, conn_id=self.journal_conn_id, durable=self.durable,
            unique_key=self.unique_key, match_by=self.match_by, source_names=source_names(self._arguments()),
            log=self._safe_log, clock=self._clock, now=self._now,
        )  # fmt: skip

    def _xcoms(self, context: Context) -> XComs | None:
        """Where to leave something for the task's page; nowhere if its author wants no XComs."""
        ti = context.get("ti")
        return XComs(ti) if ti is not None and self.do_xcom_push else None

    def _pin_link(self, context: Context, xcoms: XComs | None, publisher: StatusPublisher) -> None:
        """Airflow makes a task's links when it has ended; its rows can be looked at while they are sent."""
        if xcoms is not None:
            link = LoftyReportLink()
            url = link.get_link(self, ti_key=context["ti"])
            publisher.attempt(partial(xcoms.push_link, link.xcom_key, url))

    def _first_facts(self, context: Context) -> Status:
        return Status(
            try_number=self._key(context).try_number,
            report_path=self._report_path(context),
        )

    def _update_outlets(self, context: Context, summary: dict[str, Any]) -> None:
        if self.preview:
            self.outlets = []  # nothing was sent: whoever waits for these assets goes on waiting
        events: Any = context.get("outlet_events")
        add_counts(self.outlets, events, summary)

    def _source(
        self, context: Context, refuse_overwriting: Callable[[list[str]], None], cursor: Cursor | None = None
    ) -> Callable[[Take], None]:
        """
        Choose the one source.

        :param refuse_overwriting: gets the files before any is read
        """
        rows = self._rendered_rows() if self._rendered_rows is not None else self.rows
        given = {"rows": rows, "path": self.path, "sql": self.sql, "table": self.table}
        source = one_source(given, lambda: why_none(context.get("ti"), self.upstream_task_ids))
        columns, options = shape(source, self.columns, self.file_options)
        if rows is not None:
            return self._rows_reader(context, columns)
        if self.path is not None:
            return files_reader(self._arguments(), columns, options, refuse_overwriting, self._safe_log)
        return database_reader(self._arguments(), source, None if cursor is None else cursor.newer)

    def _rows_reader(self, context: Context, columns: tuple[str, ...] | None) -> Callable[[Take], None]:
        from airflow_provider_lofty.rows.upstream import read_rows

        rows = self._rendered_rows() if self._rendered_rows is not None else self.rows
        return partial(read_rows, rows, columns=columns)

    def _report(self, context: Context) -> Report | None:
        path = self._report_path(context)
        report = Report(path) if path else None
        folder = None if self.report_path else config.report_folder()
        if folder and (warning := reach_warning(folder)):
            self._safe_log.warning("%s", warning)
        return report

    def _report_path(self, context: Context) -> str | None:
        path = self.report_path or config.report_folder()
        return report_file(str(path), self._key(context)) if path else None

    def _key(self, context: Context) -> TaskKey:
        ti = context.get("ti")
        return TaskKey("dag", "run", self.task_id) if ti is None else TaskKey.of(ti)


_PARAMETERS = signature(LoftyAddActivityOperator.__init__).parameters
_DEFAULTS = {name: _PARAMETERS[name].default for name in CHECKS}


def _sleep(stop: threading.Event, seconds: float) -> None:
    """Wait, but not beyond a stop."""
    if stop.wait(seconds):
        raise LoftyDeliveryIncomplete("the task was told to stop")
