"""Bodies are decoded up to a bound, whatever stands in them."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from support.raw_server import RawServer, http

from airflow_provider_lofty.lofty.answers import Meaning
from airflow_provider_lofty.lofty.bodies import LONGEST_BODY, decoded
from airflow_provider_lofty.lofty.client import LoftyClient

# With no time in it: these bodies name tests, which have to be the same in every process.
gzipped = partial(gzip.compress, mtime=0)

ANSWER = b'{"leadId":5}'


def bare(body: bytes) -> bytes:
    return zlib.compress(body)[2:-4]


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (ANSWER, ""),
        (ANSWER, "identity"),
        (gzipped(ANSWER), "gzip"),
        (gzipped(ANSWER), " GZip "),
        (gzipped(ANSWER), "x-gzip"),
        (gzipped(ANSWER[:5]) + gzipped(ANSWER[5:]), "gzip"),
        (gzipped(ANSWER) + bytes(9), "gzip"),
        (zlib.compress(ANSWER), "deflate"),
        (bare(ANSWER), "deflate"),
        (gzipped(zlib.compress(ANSWER)), "deflate, gzip"),
        (gzipped(ANSWER), "identity, gzip"),
    ],
)
def test_what_servers_send_is_read(body: bytes, encoding: str) -> None:
    assert decoded(body, encoding) == ANSWER


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, br"])
def test_where_there_is_no_body_nothing_is_decoded(encoding: str) -> None:
    assert decoded(b"", encoding) == b""


@pytest.mark.parametrize(
    ("body", "encoding", "fault"),
    [
        (ANSWER, "gzip", "is not what its encoding says"),
        (ANSWER, "deflate", "is not what its encoding says"),
        (gzipped(ANSWER)[:-9], "gzip", "ends too early"),
        (gzipped(ANSWER)[:-1], "gzip", "ends too early"),
        (gzipped(ANSWER) + b"x", "gzip", "is not what its encoding says|ends too early"),
        (gzipped(ANSWER)[:-8] + bytes(8), "gzip", "is not what its encoding says"),
        (ANSWER, "br", "was not asked for"),
        (ANSWER, "zstd", "was not asked for"),
        (ANSWER, "gzip, gzip, gzip", "again and again"),
        (ANSWER, ",".join(["gzip"] * 10_000), "again and again"),
    ],
)
def test_what_cannot_be_read_is_told(body: bytes, encoding: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        decoded(body, encoding)


def test_the_longest_is_read() -> None:
    assert len(decoded(gzipped(bytes(LONGEST_BODY)), "gzip")) == LONGEST_BODY


BOMB = bytes(64 * 2**20)
BOMBS = [
    (gzipped(BOMB, 1), "gzip"),
    (gzipped(bytes(LONGEST_BODY + 1)), "gzip"),
    (gzipped(bytes(2**20), 1) * 64, "gzip"),
    (zlib.compress(BOMB, 1), "deflate"),
    (bare(BOMB), "deflate"),
    (gzipped(gzipped(BOMB, 1)), "gzip, gzip"),
]


@pytest.mark.parametrize(("body", "encoding"), BOMBS)
def test_a_bomb_is_given_up_before_it_bursts(body: bytes, encoding: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="too long"):
            decoded(body, encoding)
        assert tracemalloc.get_traced_memory()[1] < 5 * LONGEST_BODY
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("body", "encoding", "meaning"),
    [
        (gzipped(ANSWER), "gzip", Meaning.DELIVERED),
        (zlib.compress(ANSWER), "deflate", Meaning.DELIVERED),
        (BOMBS[0][0], "gzip", Meaning.DOUBT),
        (gzipped(ANSWER)[:-1], "gzip", Meaning.DOUBT),
        (ANSWER, "br", Meaning.DOUBT),
    ],
)
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_client_goes_by_what_was_decoded(
    serve: Callable[..., RawServer],
    connect: Callable[..., None],
    client: LoftyClient,
    body: bytes,
    encoding: str,
    meaning: Meaning,
    framing: str,
) -> None:
    header = f"Content-Encoding: {encoding}"
    answer: Any = http(body, "200 OK", header)
    if framing == "chunked":
        head = f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{header}\r\n\r\n{len(body):x}\r\n".encode()
        answer = head + body + b"\r\n0\r\n\r\n"
    connect(serve(answer).url)
    assert client.post_activity(5, b"{}").meaning is meaning
    assert client.post_activity(5, b"{}").meaning is meaning
