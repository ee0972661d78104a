"""
The newest part of a task's journal: rows that are open, and rows closed since the last segment was sealed.

One commit is one line of text: what was intended, and the numbers of the intents that are closed by it. A line is
written by :meth:`CommitLog.line` and taken in by :meth:`CommitLog.apply`, the same way when it has just been written
and when it is read back by a later try.

::

    base64 of the intents ; numbers delivered ; doubted ; withdrawn ; lead>other,… ; [[number, status, code, error], …]

A lead is followed by another one with whose id Lofty has answered for it (``?`` where that is not certain); last come
the rejected rows.
"""

from __future__ import annotations

import json
import re
import struct
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence

from airflow_provider_lofty.journal.journal import Closing, Intent
from airflow_provider_lofty.lofty.fields import ACTIVITY_TYPES
from airflow_provider_lofty.lofty.trace import MARK_BYTES, TRACE_BYTES, Trace
from airflow_provider_lofty.spool.history import CONTENT_BYTES, FINGERPRINT_BYTES, JournalState, PastRow
from airflow_provider_lofty.spool.leads import Link

_MOST_ATTEMPTS = 15
_LINK = re.compile(r"(\d{1,19})([>?])(\d{1,19})")
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


class Records:
    """
    Rows as bytes of a fixed length.

    :param keyed: whether a row key is a hash of a ``unique_key``; otherwise it is the trace
    """

    def __init__(self, keyed: bool) -> None:
        trace_hash = f"{TRACE_BYTES}s" if keyed else "0s"
        self._keyed = keyed
        # row key, fingerprint, trace, lead, created (in two parts), type and attempts, marks of text and link
        self._intent = struct.Struct(f">{TRACE_BYTES}s{FINGERPRINT_BYTES}s{trace_hash}QHIB{MARK_BYTES}s{MARK_BYTES}s")
        # Without a unique_key, the row key stands for one lead only.
        lead = "Q" if keyed else ""
        self._delivered = struct.Struct(f">{TRACE_BYTES}s{FINGERPRINT_BYTES}s{trace_hash}{lead}{CONTENT_BYTES}s")

    @property
    def delivered_bytes(self) -> int:
        """The length of what is kept of a delivered row."""
        return self._delivered.size

    def pack(self, intents: Iterable[Intent]) -> str:
        """Write intents."""
        return b64encode(b"".join(map(self._packed, intents))).decode().rstrip("=")

    def _packed(self, intent: Intent) -> bytes:
        wanted = intent.trace
        kind = ACTIVITY_TYPES.index(wanted.type) | min(intent.attempts, _MOST_ATTEMPTS) << 4
        high, low = divmod(wanted.created, 2**32)
        return self._intent.pack(
            intent.row_key, intent.fingerprint, wanted.trace_hash if self._keyed else b"", wanted.lead_id, high, low,
            kind,
            wanted.text_mark, wanted.link_mark,
        )  # fmt: skip

    def unpack(self, text: str) -> Iterator[Intent]:
        """
        Read what :meth:`pack` wrote.

        :raises ValueError: when it is something else
        """
        for record in self._intent.iter_unpack(_bytes_of(text)):
            row_key, fingerprint, trace_hash, lead_id, high, low, kind, text_mark, link_mark = record
            created, attempts = high * 2**32 + low, kind >> 4
            trace_hash = trace_hash if self._keyed else row_key
            wanted = Trace(lead_id, trace_hash, ACTIVITY_TYPES[kind & 15], created, text_mark, link_mark)
            yield Intent(row_key, fingerprint, wanted, attempts)

    def pack_delivered(self, rows: Iterable[PastRow]) -> str:
        """Write what is kept of delivered rows."""
        return b64encode(b"".join(map(self._packed_delivered, rows))).decode().rstrip("=")

    def _packed_delivered(self, row: PastRow) -> bytes:
        if self._keyed:
            return self._delivered.pack(row.row_key, row.fingerprint, row.trace_hash, row.lead_id or 0, row.content)
        return self._delivered.pack(row.row_key, row.fingerprint, b"", row.content)

    def unpack_delivered(self, text: str) -> Iterator[PastRow]:
        """
        Read what :meth:`pack_delivered` wrote.

        :raises ValueError: when it is something else
        """
        for row_key, fingerprint, trace_hash, *lead, content in self._delivered.iter_unpack(_bytes_of(text)):
            trace_hash = trace_hash if self._keyed else row_key
            lead_id = lead[0] or None if lead else None
            yield PastRow(row_key, JournalState.DELIVERED, fingerprint, trace_hash, lead_id=lead_id, content=content)


class CommitLog:
    """
    What is open, and what was closed since the last segment.

    :param records: how rows are written
    :param carried: what is open from the beginning
    :param links: what answers said of leads before
    """

    def __init__(self, records: Records, carried: Sequence[Intent] = (), links: Iterable[Link] = ()) -> None:
        self._records = records
        self._numbers: dict[bytes, int] = {}
        self._open: dict[int, Intent] = {}
        self._next = 0
        self.closed: list[PastRow] = []
        self.links = list(links)
        self.apply(records.pack(carried))

    @property
    def open(self) -> list[Intent]:
        """The rows that were intended and not closed."""
        return list(self._open.values())

    def line(self, intents: Sequence[Intent], closings: Sequence[Closing]) -> str:
        """Write one commit down; nothing changes until :meth:`apply`."""
        new = {
            c.intent.row_key: c.intent
            for c in closings
            if c.intent.row_key not in self._numbers and c.state != JournalState.ABANDONED
        }
        for intent in intents:
            number = self._numbers.get(intent.row_key)
            if number is None or self._open[number] != intent._replace(may_move=False):
                new[intent.row_key] = intent
        numbers = {row_key: self._next + place for place, row_key in enumerate(new)}
        links = pack_links(link for c in closings if (link := c.link) is not None)
        # A row that is intended anew, or closed by now, says itself how often it was sent.
        closings = [c for c in closings if c.state != JournalState.ABANDONED]
        said = {*new, *(c.intent.row_key for c in closings if c.state != JournalState.DOUBTED)}
        closings = [c for c in closings if c.state != JournalState.DOUBTED or c.intent.row_key not in said]
        of = [numbers.get(c.intent.row_key, self._numbers.get(c.intent.row_key, -1)) for c in closings]
        pairs = list(zip(of, closings, strict=True))
        ended = [
            _ranges(n for n, c in pairs if c.state == state)
            for state in (JournalState.DELIVERED, JournalState.DOUBTED, JournalState.WITHDRAWN)
        ]
        rejected = [[n, c.http_status, c.error_code, c.error] for n, c in pairs if c.state == JournalState.REJECTED]
        refused = json.dumps(rejected, separators=(",", ":"), ensure_ascii=False) if rejected else ""
        return ";".join((self._records.pack(new.values()), *ended, links, refused)).rstrip(";")

    def apply(self, line: str) -> None:
        """
        Take in one commit.

        :raises ValueError: when it is damaged
        """
        try:
            self._apply(line)
        except (struct.error, IndexError, TypeError, KeyError) as error:
            raise ValueError(f"a commit is damaged ({type(error).__name__})") from error

    def _apply(self, line: str) -> None:
        intents, delivered, doubted, withdrawn, links, rejected = [*line.split(";", 5), *[""] * 5][:6]
        for intent in self._records.unpack(intents):
            self._open.pop(self._numbers.get(intent.row_key, -1), None)
            self._numbers[intent.row_key] = self._next
            self._open[self._next] = intent
            self._next += 1
        for number in _numbers_in(delivered):
            self._close(number, JournalState.DELIVERED)
        for number in _numbers_in(doubted):
            intent = self._opened(number)
            self._open[number] = intent._replace(attempts=min(intent.attempts + 1, _MOST_ATTEMPTS))
        for number in _numbers_in(withdrawn):
            del self._numbers[self._opened(number).row_key], self._open[number]
        self.links += unpack_links(links)
        for number, status, code, error in json.loads(rejected or "[]"):
            self._close(number, JournalState.REJECTED, status, code, error)

    def _opened(self, number: int) -> Intent:
        if number not in self._open:
            raise ValueError(f"no intent has the number {number}")
        return self._open[number]

    def _close(
        self,
        number: int,
        state: JournalState,
        http_status: int | None = None,
        error_code: int | None = None,
        error: str | None = None,
    ) -> None:
        intent = self._opened(number)
        del self._numbers[intent.row_key], self._open[number]
        trace, attempts = intent.trace, intent.attempts + 1
        said = (http_status, error_code, error, attempts)
        content = trace.content[:CONTENT_BYTES] if state is JournalState.DELIVERED else b""
        self.closed.append(
            PastRow(intent.row_key, state, intent.fingerprint, trace.trace_hash, *said, trace.lead_id, content)
        )


def _bytes_of(text: str) -> bytes:
    return b64decode(text + "=" * (-len(text) % 4), validate=True)


def pack_links(links: Iterable[Link]) -> str:
    """Write what answers said of leads."""
    return ",".join(f"{link.lead_id}{'>' if link.is_certain else '?'}{link.other}" for link in dict.fromkeys(links))


def unpack_links(text: str) -> Iterator[Link]:
    """
    Read what :func:`pack_links` wrote.

    :raises ValueError: when it is something else
    """
    for part in text.split(",") if text else ():
        found = _LINK.fullmatch(part)
        if found is None:
            raise ValueError("what a commit says of leads is damaged")
        yield Link(int(found[1]), int(found[3]), found[2] == ">")


def _ranges(numbers: Iterable[int]) -> str:
    """Write numbers as ``3-7,9``."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _numbers_in(ranges: str) -> Iterator[int]:
    for part in ranges.split(",") if ranges else ():
        found = _RANGE.fullmatch(part)
        if found is None:
            raise ValueError("the numbers of a commit are damaged")
        yield from range(int(found[1]), int(found[2] or found[1]) + 1)
