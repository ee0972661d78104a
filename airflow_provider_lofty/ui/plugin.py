"""What Airflow's web server loads: the tab "Lofty rows" on a task's page, and the app behind it."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_lofty.links import HREF, URL_PREFIX


class LoftyPlugin(AirflowPlugin):
    """Entry point ``airflow.plugins``."""

    name = "lofty"
    external_views: ClassVar[list[dict[str, str]]] = [  # type: ignore[misc]
        {"name": "Lofty rows", "href": HREF, "destination": "task_instance", "url_route": "lofty-rows"}
    ]

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The app; made only where it is asked for, because every other process of Airflow loads plugins too."""
        from airflow_provider_lofty.ui.app import app

        return [{"name": "Lofty rows", "app": app, "url_prefix": URL_PREFIX}]
