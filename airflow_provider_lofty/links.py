"""Where a task's rows can be looked at in Airflow's own web pages."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

from airflow_provider_lofty import config
from airflow_provider_lofty.task_key import TaskInstanceLike, TaskKey

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

URL_PREFIX = "/lofty"
_PAGE = "lofty/rows/{}/{}/{}/{}"
HREF = _PAGE.format("{DAG_ID}", "{RUN_ID}", "{TASK_ID}", "{MAP_INDEX}")  # Airflow's page fills these in
DELIVERIES_HREF = "lofty/deliveries"


class LoftyReportLink(BaseOperatorLink):
    """The extra link of a task: its rows and its report, on a page of their own."""

    name = "Lofty report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceLike) -> str:
        """
        Name the page of one try.

        :param ti_key: has ``dag_id``, ``run_id``, ``task_id``, ``map_index`` and ``try_number``
        """
        key = TaskKey.of(ti_key)
        page = _PAGE.format(*(quote(str(one), safe="") for one in key.instance))
        return f"{config.base_path()}{page}?try={key.try_number}"
