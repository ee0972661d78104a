"""Stand-ins for services that nobody can install, as servers: what is asked of them goes over a wire."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.s3 import Bucket


@pytest.fixture(scope="session")
def s3_server(starts_server: None) -> Iterator[Bucket]:
    """Start moto's S3, with one bucket."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        bucket = Bucket()
        yield bucket
        bucket.close()


@pytest.fixture
def bucket(s3_server: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """Give an empty bucket, and the Airflow connection ``lake`` to it."""
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", s3_server.connection)
    yield s3_server
    s3_server.clear()
