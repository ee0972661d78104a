"""What Airflow's web server loads: a tab on a task's page, a page in the navigation, and the app behind both."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_lofty.links import DELIVERIES_HREF, HREF, URL_PREFIX


class LoftyPlugin(AirflowPlugin):
    """Entry point ``airflow.plugins``."""

    name = "lofty"
    external_views: ClassVar[list[dict[str, str]]] = [  # type: ignore[misc]
        {"name": "Lofty rows", "href": HREF, "destination": "task_instance", "url_route": "lofty-rows"},
        {
            "name": "Lofty deliveries",
            "href": DELIVERIES_HREF,
            "destination": "nav",
            "category": "browse",
            "url_route": "lofty-deliveries",
        },
    ]

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The app; made only where it is asked for, because every other process of Airflow loads plugins too."""
        from airflow_provider_lofty.ui.app import app

        return [{"name": "Lofty rows", "app": app, "url_prefix": URL_PREFIX}]
