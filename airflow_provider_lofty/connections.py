"""Airflow connections by name."""

from __future__ import annotations

from airflow.sdk import BaseHook, Connection

from airflow_provider_lofty.exceptions import AirflowException, LoftyConfigurationError


def named_connection(conn_id: str) -> Connection:
    """
    Look a connection up.

    :raises LoftyConfigurationError: when there is none of that name
    """
    try:
        connection: Connection = BaseHook.get_connection(conn_id)
    except AirflowException as error:
        raise LoftyConfigurationError(f"the connection {conn_id!r} cannot be read: {error}") from None
    return connection
