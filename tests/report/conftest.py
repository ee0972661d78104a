"""A spool of one source, for reports and summaries."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_lofty.spool.spool import Spool


@pytest.fixture
def spool() -> Iterator[Spool]:
    spool = Spool(keep_cells=True)
    spool.add_source("leads.csv")
    yield spool
    spool.close()
