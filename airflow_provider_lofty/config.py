"""What ``airflow.cfg`` says for all tasks: its section ``[lofty]``, described in the provider's metadata."""

from __future__ import annotations

try:
    from airflow.sdk.configuration import conf
except ImportError:  # Airflow before 3.2 has it elsewhere
    from airflow.configuration import conf

SECTION = "lofty"
NUMBERS = ("requests_per_minute", "timeout_seconds")


def numbers() -> dict[str, str]:
    """What stands in for a number that a connection does not give, as text and unchecked."""
    found = {name: conf.get(SECTION, name, fallback="") for name in NUMBERS}
    return {name: value.strip() for name, value in found.items() if value and value.strip()}


def report_folder() -> str | None:
    """
    Where tasks without a ``report_path`` write their reports, and where alone the task's page looks for them.

    :return: a local folder or a URL, ending in ``/``; None when reports are not kept
    """
    folder = (conf.get(SECTION, "report_folder", fallback="") or "").strip()
    return f"{folder.rstrip('/')}/" if folder else None


def base_path() -> str:
    """Where the web server's pages begin: the path of ``[api] base_url``, ending in ``/``."""
    _, _, path = (conf.get("api", "base_url", fallback="") or "").partition("://")[2].partition("/")
    return f"/{path.strip('/')}/".replace("//", "/")
