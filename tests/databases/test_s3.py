"""Files and reports in S3, through Airflow's own provider and a server that speaks S3's protocol."""

from __future__ import annotations

import csv
import gzip
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.files import HEADER, LINE, read
from support.practice import row, run
from support.s3 import Bucket

from airflow_provider_lofty.exceptions import LoftySourceNotReady
from airflow_provider_lofty.rows.notes import Notes
from airflow_provider_lofty.rows.storage import matching_files
from airflow_provider_lofty.sandbox import Sandbox

FILE = f"{HEADER}\n{LINE}\n".encode()
ODD_NAMES = [
    "a b.csv", "a#b.csv", "a?b.csv", "a%20b.csv", "a%b.csv", "a+b.csv", "ü–顧客.csv", "[x].csv", "a:b@c.csv", "a&b=c.csv", "'a'.csv",
]  # fmt: skip


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_key_is_read_and_written_as_it_is(
    bucket: Bucket, lofty: Sandbox, connect: Callable[..., None], name: str
) -> None:
    connect(lofty)
    bucket.put(f"in/{name}", FILE)
    bucket.put("in/another", b"x")
    ended = run(path=f"{bucket.url}/in/{name}", report_path=f"{bucket.url}/out/{name}", defaults={"picture": ""})
    assert ended.counts == {"delivered": 1}, ended.error
    assert {*bucket.keys()} == {f"in/{name}", "in/another", f"out/{name}"}
    (reported,) = csv.DictReader(io.StringIO(bucket.get(f"out/{name}").decode()))
    assert (reported["lofty_outcome"], reported["lofty_source"]) == ("delivered", f"{bucket.url}/in/{name}")
    assert run(path=f"{bucket.url}/out/{name}").counts == {"already_delivered": 1}


def test_a_glob_finds_what_is_there_now_and_all_of_it(bucket: Bucket) -> None:
    bucket.put_many({f"in/day={n % 2}/{n:04}.csv": b"" for n in range(2100)})  # a listing comes in pages of 1000
    pattern = f"{bucket.url}/in/day=*/*.csv"
    assert len(matching_files(pattern, Notes())) == 2100
    bucket.put("in/day=1/later.csv", FILE)
    assert [each.name for each in matching_files(pattern, Notes())][-1] == f"{bucket.url}/in/day=1/later.csv"
    bucket.put("in/day=1/later.csv.gz", gzip.compress(FILE))
    found = read(f"{bucket.url}/in/day=*/l*.csv*")
    assert [(cells["day"], cells["lead_id"]) for cells in found.dicts] == [("1", "1")] * 2


@pytest.mark.parametrize("path", ["nothing.csv", "in/*.csv", "in/nothing.csv"])
def test_what_is_not_there_yet_is_waited_for(bucket: Bucket, path: str) -> None:
    with pytest.raises(LoftySourceNotReady, match="no file matches"):
        read(f"{bucket.url}/{path}")
    bucket.put(path.replace("*", "a"), FILE)
    assert len(read(f"{bucket.url}/{path}").rows) == 1


def test_a_file_that_is_replaced_while_it_is_read_is_not_mixed(
    bucket: Bucket, lofty: Sandbox, connect: Callable[..., None]
) -> None:
    connect(lofty)
    lines = b"".join(b"%d%s%s\n" % (n, LINE[1:].encode(), b"x" * 1000) for n in range(1, 20_000))
    bucket.put("big.csv", f"{HEADER}\n".encode() + lines)
    asked: list[str] = []

    def replace(method: str, path: str, query: str) -> bool:
        if method == "GET" and path.endswith("big.csv"):
            asked.append(query)
            if len(asked) == 3:
                bucket.put("big.csv", f"{HEADER}\n".encode() + lines.replace(b"Viewed home", b"Left home"))
        return False

    bucket.denies = replace
    ended = run(path=f"{bucket.url}/big.csv", defaults={"picture": ""})
    assert isinstance(ended.error, LoftySourceNotReady), ended.error
    assert "cannot be read" in str(ended.error)
    assert lofty.requests == []


ROWS = [row(n, note="x" * 10_000) for n in range(1, 2001)]  # a report of more than two parts


@pytest.mark.parametrize(
    ("refused", "earlier"), [("partNumber=1&", None), ("partNumber=2&", b"what was there before"), ("uploadId", None)]
)
def test_an_upload_that_fails_in_the_middle_leaves_no_report(
    bucket: Bucket, lofty: Sandbox, connect: Callable[..., None], refused: str, earlier: bytes | None
) -> None:
    connect(lofty)
    if earlier:
        bucket.put("r.csv", earlier)
    bucket.denies = lambda method, path, query: (
        method == ("POST" if refused == "uploadId" else "PUT") and f"{query}&".startswith(refused)
    )
    ended = run(rows=ROWS, report_path=f"{bucket.url}/r.csv", preview=True)
    bucket.denies = lambda method, path, query: False
    assert ended.counts == {"would_send": len(ROWS)}
    assert any("report" in line and "not" in line for line in ended.log), ended.log
    assert bucket.keys() == (["r.csv"] if earlier else [])
    assert not earlier or bucket.get("r.csv") == earlier
    again = run(rows=ROWS, report_path=f"{bucket.url}/r.csv", preview=True)
    assert again.error is None
    assert bucket.get("r.csv").count(b"\r\n") == len(ROWS) + 1
    assert bucket.uploads() == []


def test_a_bucket_that_refuses_says_so(bucket: Bucket) -> None:
    bucket.put("a.csv", FILE)
    bucket.denies = lambda method, path, query: True
    with pytest.raises(LoftySourceNotReady, match=r"s3://lake@lake/a\.csv cannot be read") as caught:
        read(f"{bucket.url}/a.csv")
    assert "made-up-secret" not in str(caught.value)


MEGABYTES = int(os.environ.get("LOFTY_S3_MEGABYTES", "60"))
READER = """
import sys
from airflow_provider_lofty.rows.files import read_files
from support.memory import peak_kilobytes
rows = 0
def take(source):
    global rows
    rows += sum(1 for _ in source.rows)
read_files(sys.argv[1] + "/small.csv", take)
before = peak_kilobytes()
read_files(sys.argv[1] + "/large.csv", take)
print("READ", rows, (peak_kilobytes() - before) // 1024)
"""


def test_memory_does_not_grow_with_a_file(bucket: Bucket) -> None:
    line = LINE.encode() + b"x" * 940 + b"\n"
    bucket.put("small.csv", FILE)
    bucket.put("large.csv", f"{HEADER}\n".encode() + line * (MEGABYTES * 1000))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, Path(__file__).parents[1:3]))}
    said = subprocess.run(
        [sys.executable, "-c", READER, bucket.url], env=environment, capture_output=True, text=True, check=True
    ).stdout
    rows, grown = map(int, said.partition("READ")[2].split()[:2])
    assert rows == MEGABYTES * 1000 + 1
    assert grown < 45  # of MB: two blocks, their copies, and what aiohttp holds of them
