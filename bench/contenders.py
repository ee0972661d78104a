"""This provider, and what people use instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.environments import OWN
from bench.processes import Client

PROVIDER = Client("this provider", "lofty_provider", OWN)
PROVIDER_8 = Client("this provider (8 in flight)", "lofty_provider", OWN, ("--in-flight", "8"))
PROVIDER_16 = Client("this provider (16 in flight)", "lofty_provider", OWN, ("--in-flight", "16"))
LOOP = Client("requests loop", "requests_loop", "requests")
RETRYING_LOOP = Client("requests loop with Retry", "requests_pool", "requests", ("--threads", "1"))
POOL_8 = Client("requests in 8 threads", "requests_pool", "requests", ("--threads", "8"))
POOL_16 = Client("requests in 16 threads", "requests_pool", "requests", ("--threads", "16"))
SINGER = Client("singer-sdk", "singer_target", "singer-sdk")
DLT = Client("dlt", "dlt_pipeline", "dlt")
DLT_8 = Client("dlt with 8 workers", "dlt_pipeline", "dlt", ("--workers", "8"))
DRT = Client("drt-core", "drt_sync", "drt-core")
LOOP_BY_EMAIL = Client("requests loop", "requests_by_email", "requests")
DRT_BY_EMAIL = Client("drt-core", "drt_by_email", "drt-core")
DRT_NEW = Client("drt-core", "drt_incremental", "drt-core")
DRT_NEW_LAG = Client("drt-core with a lag", "drt_incremental", "drt-core", ("--lag-minutes", "15"))
HTTP_OPERATOR = Client("HttpOperator.expand", "airflow_http", "airflow-http")

UNLIMITED = 1e6  # requests a minute; far more than any client here makes


def journal(state: Path) -> tuple[Any, ...]:
    """
    Give the provider's arguments that keep its journal.

    :param state: the file that plays Airflow's task state store
    """
    return ("--state", state)


def unlimited(client: Client) -> tuple[Any, ...]:
    """Give the arguments that let a client send as fast as it can where there is no limit."""
    return ("--requests-per-minute", UNLIMITED) if client.is_provider else ()
