"""
What Airflow is configured with: its connections, and what ``airflow.cfg`` says for all tasks.

The section ``[lofty]`` is described in the provider's metadata.
"""

from __future__ import annotations

import os
import re
import socket
from urllib.parse import urlsplit

from airflow.sdk import BaseHook, Connection

from airflow_provider_lofty.exceptions import AirflowException, LoftyConfigurationError

try:
    from airflow.sdk.configuration import conf
except ImportError:  # Airflow before 3.2 has it elsewhere
    from airflow.configuration import conf

SECTION = "lofty"
_BOOLEANS = {"": False, "t": True, "true": True, "1": True, "f": False, "false": False, "0": False}  # as in Airflow
_LOCAL_EXECUTORS = {"LocalExecutor", "SequentialExecutor"}
NUMBERS = ("requests_per_minute", "timeout_seconds")


def numbers() -> dict[str, str]:
    """What stands in for a number that a connection does not give, as text and unchecked."""
    found = {name: _text(SECTION, name) for name in NUMBERS}
    return {name: value for name, value in found.items() if value}


def report_folder() -> str | None:
    """
    Where tasks without a ``report_path`` write their reports, and where alone the task's page looks for them.

    :return: a local folder or a URL, ending in ``/``; None when reports are not kept
    """
    folder = _text(SECTION, "report_folder")
    return f"{folder.rstrip('/')}/" if folder else None


def send_report_dag_id() -> str:
    """The Dag that sends what failed in a report that it is given; empty where there is none."""
    return _text(SECTION, "send_report_dag_id")


def may_run_elsewhere() -> bool:
    """Whether tasks may run on another machine than Airflow's web server, as far as the configuration tells."""
    executors = re.findall(r"\w*Executor", conf.get("core", "executor", fallback="") or "")
    urls = (conf.get("core", "execution_api_server_url", fallback=""), conf.get("api", "base_url", fallback=""))
    server = next((_host_of(url) for url in urls if url), None)
    is_here = server in (None, "localhost", "127.0.0.1", "::1", "0.0.0.0", socket.gethostname().lower())  # noqa: S104
    return not is_here or not {*executors} <= _LOCAL_EXECUTORS


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:  # Airflow itself will complain of it
        return None


def base_path() -> str:
    """Where the web server's pages begin: the path of ``[api] base_url``, ending in ``/``."""
    _, _, path = _text("api", "base_url").partition("://")[2].partition("/")
    return f"/{path.strip('/')}/".replace("//", "/")


def base_url() -> str:
    """Where Airflow's pages are, as far as ``[api] base_url`` says: a URL, or its path alone, ending in ``/``."""
    url = _text("api", "base_url")
    return f"{url.rstrip('/')}/" if url else base_path()


def clears_state_on_success() -> bool:
    """Whether Airflow's task state store forgets a task that has succeeded; no before Airflow 3.3, which has none."""
    text = _text("state_store", "clear_on_success").lower()
    if text not in _BOOLEANS:
        raise LoftyConfigurationError("clear_on_success in [state_store] of airflow.cfg must be True or False")
    return _BOOLEANS[text]


def _text(section: str, name: str) -> str:
    """
    Read an option.

    :raises LoftyConfigurationError: when it cannot be read, as one that a command or a secrets backend is to give
    """
    try:
        return str(conf.get(section, name, fallback="") or "").strip()
    except Exception as error:  # noqa: BLE001 - Airflow's own lies elsewhere in each version; secrets backends have theirs
        kind = type(error).__name__
        raise LoftyConfigurationError(f"{name} in [{section}] of airflow.cfg cannot be read ({kind})") from None


def named_connection(conn_id: str) -> Connection:
    """
    Look a connection up.

    :raises LoftyConfigurationError: when there is none of that name
    """
    try:
        connection: Connection = BaseHook.get_connection(conn_id)
    except AirflowException as error:
        variable = f"AIRFLOW_CONN_{conn_id.upper()}"  # what Airflow cannot read of it, it calls undefined
        is_set = variable in os.environ
        fault = f"{variable} is set, but is neither a URI nor JSON that Airflow understands" if is_set else str(error)
        raise LoftyConfigurationError(f"the connection {conn_id!r} cannot be read: {fault}") from None
    return connection
