"""What Airflow reads about this provider, as data."""

from __future__ import annotations

from typing import Any

from airflow_provider_lofty import __version__

PACKAGE = "airflow-provider-lofty"


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
            }
        ],
    }
