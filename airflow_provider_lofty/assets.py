"""Airflow's assets: what a delivery updates, and what it adds to their events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol
from urllib.parse import SplitResult

from airflow.sdk import Asset

from airflow_provider_lofty.outcomes import OUTCOMES

ACTIVITIES = "lofty://activities"
_EXTRA = ("read", *OUTCOMES, "carried_over", "report_path")


class _Event(Protocol):
    extra: dict[str, object]


def activities() -> Asset:
    """Lofty's activities as an asset: what a delivery updates when its author names nothing else."""
    return Asset(ACTIVITIES)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Keep ``lofty://activities`` as it is written; Airflow would end it in a slash. (Airflow calls this.)"""
    return uri._replace(path=uri.path.rstrip("/"))


def add_counts(outlets: Iterable[object], events: Mapping[Asset, _Event] | None, summary: Mapping[str, object]) -> None:
    """
    Put the counts of a run into the event of each asset that it updates.

    :param outlets: the task's outlets; an alias stands for no asset until somebody adds one, and is left alone
    :param events: ``outlet_events`` of the task's context
    """
    extra = {name: summary[name] for name in _EXTRA}
    for outlet in outlets:
        if events is not None and isinstance(outlet, Asset):
            events[outlet].extra.update(extra)
