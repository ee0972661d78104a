"""What Airflow reads about this provider, as data."""

from __future__ import annotations

from typing import Any

from airflow_provider_lofty import __version__
from airflow_provider_lofty.hooks.form import conn_fields, ui_field_behaviour

PACKAGE = "airflow-provider-lofty"

_OPTIONS: dict[str, dict[str, Any]] = {
    "requests_per_minute": {
        "description": "A cap on the pace of tasks whose connection names none.\n"
        "Empty: the limit that Lofty names in its answers.\n",
        "version_added": "0.1.0",
        "type": "float",
        "example": "100",
        "default": "",
    },
    "timeout_seconds": {
        "description": "Seconds for one whole request, where the connection does not say. Empty: 30.\n",
        "version_added": "0.1.0",
        "type": "float",
        "example": "30",
        "default": "",
    },
    "report_folder": {
        "description": "A folder, local or a URL (s3://conn_id@bucket/folder), for the reports of tasks without a\n"
        "report_path: one file for each Dag, run, task, map index and try, with every row and its outcome.\n"
        'The tab "Lofty rows" shows rows only from there, so web server and workers must both reach it.\n'
        "Reports hold the rows' own columns. Empty: none are written.\n",
        "version_added": "0.1.0",
        "type": "string",
        "example": "/opt/airflow/lofty_reports",
        "default": "",
    },
    "send_report_dag_id": {
        "description": "The Dag that sends what failed in a report of report_folder, whose path it gets as the param\n"
        '"report", as the example Dag lofty_send_report does. Errors of tasks whose rows failed lead to it.\n'
        "Empty: there is none.\n",
        "version_added": "0.1.0",
        "type": "string",
        "example": "lofty_send_report",
        "default": "",
    },
}


def get_provider_info() -> dict[str, Any]:
    """Describe the provider (entry point ``apache_airflow_provider``)."""
    return {
        "package-name": PACKAGE,
        "name": "Lofty",
        "description": "Send warehouse rows to the Lofty CRM as lead activities, every row accounted for.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": "Lofty",
                "external-doc-url": "https://developer.lofty.com",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": "Lofty", "python-modules": ["airflow_provider_lofty.hooks.lofty"]}],
        "operators": [{"integration-name": "Lofty", "python-modules": ["airflow_provider_lofty.operators.lofty"]}],
        "connection-types": [
            {
                "connection-type": "lofty",
                "hook-name": "Lofty",
                "hook-class-name": "airflow_provider_lofty.hooks.lofty.LoftyHook",
                "conn-fields": conn_fields(),
                "ui-field-behaviour": ui_field_behaviour(),
            }
        ],
        "task-decorators": [
            {
                "name": "lofty_add_activity",
                "class-name": "airflow_provider_lofty.decorators.lofty.lofty_add_activity_task",
            }
        ],
        "notifications": ["airflow_provider_lofty.notifications.lofty.LoftyChangeNotifier"],
        "cli": ["airflow_provider_lofty.first_contact.airflow_cli.commands"],  # Airflow 3.2 and later ask for it
        "extra-links": ["airflow_provider_lofty.links.LoftyReportLink"],
        "asset-uris": [{"schemes": ["lofty"], "handler": "airflow_provider_lofty.assets.sanitize_uri"}],
        "config": {"lofty": {"description": "Defaults of all tasks that deliver to Lofty.", "options": _OPTIONS}},
    }
