"""Where a task's rows can be looked at in Airflow's own web pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

from airflow_provider_lofty import config

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

URL_PREFIX = "/lofty"
_PAGE = "lofty/rows/{}/{}/{}/{}"
HREF = _PAGE.format("{DAG_ID}", "{RUN_ID}", "{TASK_ID}", "{MAP_INDEX}")  # Airflow's page fills these in


class LoftyReportLink(BaseOperatorLink):
    """The extra link of a task: its rows and its report, on a page of their own."""

    name = "Lofty report"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """
        Name the page of one try.

        :param ti_key: has ``dag_id``, ``run_id``, ``task_id``, ``map_index`` and ``try_number``
        """
        map_index = -1 if ti_key.map_index is None else ti_key.map_index
        ids = (ti_key.dag_id, ti_key.run_id, ti_key.task_id, str(map_index))
        page = _PAGE.format(*(quote(one, safe="") for one in ids))
        return f"{config.base_path()}{page}?try={ti_key.try_number}"
