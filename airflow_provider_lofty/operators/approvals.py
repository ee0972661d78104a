"""What an operator's ``expect_digest`` stands for: an input that was approved, and the preview that showed it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.log import Log
from airflow_provider_lofty.operators.arguments import expected_digest, file_options, row_mapping
from airflow_provider_lofty.operators.cursors import expanded_over
from airflow_provider_lofty.operators.rendering import AuthoredTemplates
from airflow_provider_lofty.rows.source import Take
from airflow_provider_lofty.run.approval import Approval, NoPreviewError


def approval_of(
    operator: AuthoredTemplates, given: Mapping[str, Any], ti: Any, *, is_needed: bool, log: Log
) -> Approval | None:
    """
    Take the approval that the arguments ask for; None where they ask for none.

    :param given: the operator's arguments
    :param ti: its task instance
    :param is_needed: whether the Dag's author asks for one
    :raises LoftyConfigurationError: where one is needed, and there is none
    """
    digest = expected_digest("expect_digest", given["expect_digest"])
    if digest is None:
        if is_needed or "expect_digest" in expanded_over(operator):
            raise LoftyConfigurationError(
                "expect_digest became None, which approves nothing: leave it out where no approval is needed; nothing "
                "was sent"
            )
        return None
    read_preview = partial(_read_preview, operator, given, ti, digest, log)
    return Approval(digest, read_preview, partial(row_mapping, given), has_cursor=given["cursor"] is not None)


def _read_preview(
    operator: AuthoredTemplates, given: Mapping[str, Any], ti: Any, digest: str, log: Log, take: Take
) -> None:
    path = next(_reports(operator, ti, digest), None)
    if path is None:
        raise NoPreviewError("was not written, or not by a task upstream of this one")
    from airflow_provider_lofty.rows.files import read_files

    read_files(path, take, options=file_options(given["file_options"]).of_cells(), log=log)


def _reports(operator: AuthoredTemplates, ti: Any, digest: str) -> Iterator[str]:
    """Name the reports of the tasks upstream, in this Dag run, that have read the input with this digest."""
    dag = operator.get_dag()
    if dag is None:
        return
    for task_id in sorted(operator.get_flat_relative_ids(upstream=True)):
        task: Any = dag.task_dict[task_id]
        if not issubclass(getattr(task, "operator_class", type(task)), AuthoredTemplates):
            continue
        pulled = ti.xcom_pull(task_ids=task_id)
        for summary in pulled if isinstance(pulled, list) else [pulled]:
            if isinstance(summary, Mapping) and summary.get("digest") == digest and summary.get("report_path"):
                yield str(summary["report_path"])
