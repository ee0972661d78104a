"""The tab "Lofty rows" over a report folder in S3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.s3 import Bucket
from ui.conftest import (  # noqa: F401 - Airflow's web server, and a task that ran
    Ran,
    airflow_database,
    client,
    configured_folder,
    indexes,
    ran,
    report_folder,
    viewer,
    web_server,
)

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

pytestmark = pytest.mark.filterwarnings("default")  # Airflow's own code warns about itself


def test_its_rows_are_shown_and_the_file_is_downloaded(
    bucket: Bucket,
    viewer: TestClient,  # noqa: F811 - the fixtures above
    ran: Ran,  # noqa: F811 - the same
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__LOFTY__REPORT_FOLDER", f"{bucket.url}/reports")
    answer = viewer.get(ran.url("/list"))
    assert answer.status_code == 404
    assert "no such file" in answer.json()["detail"]
    bucket.put(f"reports/{ran.report.name}", ran.report.read_bytes())
    (shown,) = viewer.get(ran.url("/list")).json()["rows"]
    assert (shown["row_number"], shown["outcome"]) == ("3", "unmatched")
    assert viewer.get(ran.url("/report")).content == ran.report.read_bytes()
    replaced = ran.report.read_bytes().replace(b"unmatched", b"rejected")
    bucket.put(f"reports/{ran.report.name}", replaced)
    (shown,) = viewer.get(ran.url("/list")).json()["rows"]
    assert shown["outcome"] == "rejected"
