"""
A dlt pipeline into a ``@dlt.destination``, dlt's way of writing to an API.

``batch_size=1``, so that dlt notes every row that is done; requests go through dlt's own ``requests`` helper with its
retries as they are. With several workers the rows are cut into as many files, which dlt loads at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

from common import body_of, headers, options, path_of, read


def configure(given: Any) -> None:
    """Keep what dlt writes in the client's folder; cut the rows into a file for each worker."""
    os.environ.update(RUNTIME__DLTHUB_TELEMETRY="false", DLT_DATA_DIR=str(given.home / "dlt"))
    if given.workers > 1:
        count = sum(1 for _ in read(given.rows))
        a_file = str(-(-count // given.workers))
        os.environ.update(
            NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS=a_file,
            NORMALIZE__DATA_WRITER__BUFFER_MAX_ITEMS=a_file,
            LOAD__WORKERS=str(given.workers),
        )


def run(given: Any) -> None:
    """Run the pipeline; a row that fails for good raises."""
    import dlt
    from dlt.sources.helpers import requests

    @dlt.resource(name="activities")
    def activities() -> Iterator[dict[str, Any]]:
        yield from read(given.rows)

    @dlt.destination(batch_size=1)
    def lofty(items: list[dict[str, Any]], table: Any) -> None:
        for item in items:
            url = given.url + path_of(item["lead_id"])
            answer = requests.post(url, json=body_of(item), headers=headers(given.key), timeout=30)
            answer.raise_for_status()

    pipeline = dlt.pipeline("lofty", destination=lofty(), pipelines_dir=str(given.home / "pipelines"))
    print(pipeline.run(activities()), file=sys.stderr)


given = options(workers=1)
configure(given)
run(given)
