"""
The journal in Airflow's task state store (3.3 and later), which survives crashes, retries and clears of one task.

The store keeps JSON values under keys, a few milliseconds each. So a commit is one small key of its own, part of the
*commit log*; from time to time what the log has closed is sealed into a *segment* of about 48 KB, and the rows still
open are carried over into a new log. The header names the segments with their digests, and where the log begins.

::

    lofty_journal              version, source, sample of the input, where the log begins, digest of every segment
    lofty_journal.ID.chunk.0 … delivered rows, 19 bytes each (keyed: 39); what answers said of leads; rejected rows
    lofty_journal.ID.tail.0 …  one commit: intents, 37 bytes each, and the numbers of those that are closed

Every write can be the last: a segment or a log that was carried over counts only once the header names it. Each commit
of the log is checked together with those before it, so that what is left of another log cannot pass for a part of
this one.
"""

from __future__ import annotations

import json
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from hashlib import blake2b
from secrets import token_hex
from typing import Any, Protocol

import msgspec

from airflow_provider_lofty.journal.commits import CommitLog, Records, pack_links, unpack_links
from airflow_provider_lofty.journal.journal import (
    Closing,
    Intent,
    JournalError,
    JournalUnavailable,
    JournalUnusable,
    Loaded,
    Released,
)
from airflow_provider_lofty.lofty.trace import Trace
from airflow_provider_lofty.rows.builder import KEY_RULES
from airflow_provider_lofty.spool.history import CONTENT_BYTES, JournalState, PastRow
from airflow_provider_lofty.spool.leads import Link
from airflow_provider_lofty.spool.sample import InputSample
from airflow_provider_lofty.spool.spool import Spool

KEY = "lofty_journal"
VERSION = 4
CHUNK_CHARACTERS = 48_000  # Airflow warns of values above 64 KB
MOST_CLOSED = 13_000  # sealed together: what is open is written anew each time
MOST_TAIL_KEYS = 1500  # each is read by itself when the journal is loaded
KEPT_SECONDS = 30 * 86_400.0
_RENEWED_SECONDS = 15 * 86_400.0  # what would expire sooner is written anew when it is loaded
_SWEPT_AT_ONCE = 8
_CARRIED_AT_ONCE = 800
_LOOK_AHEAD = 8
_LOOKS = 5  # before absence is believed
_LINKS_AT_ONCE = 1000
_MOST_REJECTED = 30  # in one commit, each with what Lofty said
_ERROR_CHARACTERS = 200
_CHECK_CHARACTERS = 4


class Store(Protocol):
    """What is needed of ``context["task_state_store"]``."""

    def get(self, key: str, default: Any = None) -> Any: ...

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None: ...

    def delete(self, key: str) -> None: ...


class _Header(msgspec.Struct):
    """
    What the header says.

    :param id: of this journal: a new one takes no key of an old one for its own
    :param is_blind: earlier tries may have sent rows that are not in here
    :param rows: how many different rows the input had, and
    :param lowest: the lowest of their row keys, as base64; see :class:`InputSample`
    :param expires: seconds since 1970, common to all keys
    :param forgotten: what segments before this one say of rejected rows is void: the task was cleared
    :param tail: the first commit that counts
    :param chain: what the check of that commit goes on from
    :param swept: the first commit whose key may still be there
    """

    version: int
    key_rules: int
    id: str
    source: str
    is_blind: bool
    keyed: bool
    max_tries: int | None
    rows: int
    lowest: str
    expires: float
    forgotten: int
    tail: int
    chain: str
    swept: int
    chunks: list[str]


class TaskStateJournal:
    """
    A journal of one task instance: its tries and clears.

    :param store: ``context["task_state_store"]``
    :param source: names where rows and their keys come from; a journal of another source is not trusted
    :param keyed: whether row keys are hashes of a ``unique_key``
    :param max_tries: the task instance's; it changes when the task is cleared
    :param now: seconds since 1970
    """

    def __init__(
        self, store: Store, *, source: str, keyed: bool, max_tries: int | None, now: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._source = source
        self._keyed = keyed
        self._records = Records(keyed)
        self._max_tries = max_tries
        self._now = now
        expires = now() + KEPT_SECONDS
        self._header = _Header(
            VERSION, KEY_RULES, token_hex(3), source, False, keyed, max_tries, 0, "", expires, 0, 0, "", 0, []
        )  # fmt: skip
        self._is_resumed = self._is_cleared = self._is_sealing = self._is_old = False
        self._unacknowledged: str | None = None
        self._said: set[Closing] = set()  # by a commit that failed midway, and is made again
        self._next_commit = 0
        self._chain = ""
        self._commits = CommitLog(self._records)

    def begin(self, *, is_later_try: bool) -> bool:
        """Read the header, or write the first one."""
        found = self._read_header()
        if found is None:
            self._header.is_blind = is_later_try
            self._write_header(self._header)
            return is_later_try
        self._header = found
        self._next_commit = found.tail
        self._chain = found.chain
        self._is_resumed = found.source == self._source and found.keyed == self._keyed
        self._is_cleared = found.max_tries != self._max_tries
        self._commits = CommitLog(Records(found.keyed))
        return found.is_blind or not self._is_resumed

    def load(self, spool: Spool) -> Loaded:
        """Load segments and commit log; of another source's journal only what is in doubt."""
        header = self._header
        before = InputSample(header.rows, b64decode(header.lowest)) if self._is_resumed else None
        if header.expires - self._now() < _RENEWED_SECONDS:
            header.expires, self._is_old = self._now() + KEPT_SECONDS, True
        links: list[Link] = []
        for number, digest in enumerate(header.chunks if self._is_resumed else ()):
            text = self._segment(number, digest)
            spool.history.add(self._known_in(text, number))
            links += _links_in(text)
            if self._is_old:
                self._set(f"chunk.{number}", text)
        self._load_commits()
        if self._is_cleared:
            self._commits.closed = [row for row in self._commits.closed if row.state != JournalState.REJECTED]
        if not self._is_resumed:
            self._commits.closed.clear()
        if header.keyed != self._keyed:
            still_open = [_as_keyed(intent, self._keyed) for intent in self._commits.open]
            self._commits = CommitLog(self._records, still_open, self._commits.links)
        spool.history.add(self._commits.closed)
        links += self._commits.links
        answered = {link.lead_id: link.other for link in links}
        doubtful = [i._replace(answered_lead=answered.get(i.trace.lead_id)) for i in self._commits.open]
        if links and self._is_resumed:  # another source may be of another Lofty
            spool.leads.link(links)
        spool.history.add(map(_as_past, doubtful))
        return Loaded(doubtful, before, spool.history.count(JournalState.DELIVERED), spool.history.count_gone())

    def start(self, rows: InputSample) -> None:
        """Seal what earlier tries left; write this try's header."""
        header = self._header
        if header.source != self._source or header.keyed != self._keyed:
            # Keys of their own: the header that is there must not take what is carried over for a part of its log.
            header.id, header.swept, self._next_commit, self._chain = token_hex(3), 0, 0, ""
            header.chunks, header.forgotten, header.is_blind = [], 0, True
        elif self._is_cleared:
            header.forgotten = len(header.chunks)
        header.source, header.keyed, header.max_tries = self._source, self._keyed, self._max_tries
        header.rows, header.lowest = rows.rows, b64encode(rows.lowest).decode()
        self._seal()

    def load_lead(self, lead_id: int, spool: Spool) -> None:
        """Nobody else writes here."""

    def load_alike(self, trace: Trace, spool: Spool) -> None:
        """Nobody else writes here."""

    def commit(self, intents: Sequence[Intent], closings: Sequence[Closing]) -> Collection[bytes]:
        """Write one key of the commit log; seal when it is time."""
        if self._is_sealing:  # how far it got is unknown: the same again, to its end
            self._seal()
        if self._unacknowledged is not None:
            # It may have arrived, or arrive later: with another content it would not fit what comes after it.
            self._write_commit(self._unacknowledged)
        closings = [closing for closing in map(_shortened, closings) if closing not in self._said]
        rejected = [closing for closing in closings if closing.state == JournalState.REJECTED]
        while len(rejected) > _MOST_REJECTED:
            self._write((), rejected[:_MOST_REJECTED])
            del rejected[:_MOST_REJECTED]
        others = [closing for closing in closings if closing.state != JournalState.REJECTED]
        self._write(intents, [*others, *rejected])
        self._said.clear()
        with suppress(JournalUnavailable):  # this commit is durable; the next one goes on from here
            if len(self._commits.closed) >= MOST_CLOSED or self._next_commit - self._header.tail >= MOST_TAIL_KEYS:
                self._seal()
            self._sweep()
        return ()

    def _write(self, intents: Sequence[Intent], closings: Sequence[Closing]) -> None:
        self._said.update(closings)
        # Also when there is nothing new to say: that the store takes it shows that no newer try has begun.
        self._write_commit(self._commits.line(intents, closings))

    def heartbeat(self) -> Sequence[Released]:
        """Nobody else holds rows here."""
        return ()

    def close(self) -> None:
        """Nothing is open."""

    def _read_header(self) -> _Header | None:
        found = self._get(KEY)
        if found is None:
            # The store says "absent" also when it does not find the task or cannot be reached through a gateway.
            token = token_hex(8)
            self._set("probe", token)
            if self._get(self._key("probe")) != token:
                raise JournalUnavailable("Airflow's task state store does not give back what it was given")
            self._call(self._store.delete, self._key("probe"))
            found = next((header for _ in range(_LOOKS) if (header := self._get(KEY)) is not None), None)
        if found is None:
            return None
        _refuse_another_version(found)
        try:
            header = msgspec.convert(found, _Header)
        except msgspec.ValidationError as error:
            raise _unusable(f"its header is damaged: {error}") from None
        if found.get("check") != _header_check(header):
            raise _unusable("its header is damaged: its check is wrong")
        return header

    def _write_header(self, header: _Header) -> None:
        self._set("", {**msgspec.to_builtins(header), "check": _header_check(header)})

    def _get_surely(self, name: str) -> Any:
        """Read a key; that it is absent is believed only of a store that shows the header before and after."""
        for _ in range(_LOOKS):
            value = self._get(self._key(name))
            if value is not None:
                return value
            if self._get(KEY) is None:
                raise JournalUnavailable("Airflow's task state store does not show what it holds")
        return None

    def _segment(self, number: int, digest: str) -> str:
        text = self._get_surely(f"chunk.{number}")
        if not isinstance(text, str) or _digest(text) != digest:
            state = "is missing" if text is None else "is damaged"
            raise _unusable(f"its chunk {number} of {len(self._header.chunks)} {state}")
        return text

    def _known_in(self, segment: str, number: int) -> Iterator[PastRow]:
        delivered, _, rejected = _parts_of(segment)
        yield from self._records.unpack_delivered(delivered)
        if number < self._header.forgotten or self._is_cleared:
            return
        for row_key, status, code, error, attempts in json.loads(rejected or "[]"):
            yield PastRow(b64decode(row_key), JournalState.REJECTED, b"", b"", status, code, error, attempts)

    def _load_commits(self) -> None:
        while (text := self._get_surely(f"tail.{self._next_commit}")) is not None:
            check, line = str(text)[:_CHECK_CHARACTERS], str(text)[_CHECK_CHARACTERS:]
            chain = _next_link(self._chain, line)
            try:
                if check != chain[:_CHECK_CHARACTERS]:
                    raise ValueError("its check is wrong")
                self._commits.apply(line)
            except ValueError as error:
                raise _unusable(f"its commit {self._next_commit} is damaged: {error}") from None
            self._chain = chain
            self._next_commit += 1
        for later in range(self._next_commit + 1, self._next_commit + _LOOK_AHEAD):
            if self._get(self._key(f"tail.{later}")) is not None:
                raise _unusable(f"its commit {self._next_commit} is missing")

    def _write_commit(self, line: str) -> None:
        chain = _next_link(self._chain, line)
        self._unacknowledged = line
        self._set(f"tail.{self._next_commit}", chain[:_CHECK_CHARACTERS] + line)
        self._unacknowledged = None
        self._chain = chain
        self._next_commit += 1
        self._commits.apply(line)

    def _seal(self) -> None:
        """Move what is closed into a segment, carry over what is open, and only then let the header say so."""
        self._is_sealing = True
        header = self._header
        chunks = list(header.chunks)
        header = msgspec.structs.replace(header, chunks=chunks, tail=self._next_commit, chain=self._chain)
        for text in self._segment_texts(self._commits.closed, self._commits.links):
            self._set(f"chunk.{len(chunks)}", text)
            chunks.append(_digest(text))
        still_open = self._commits.open
        commit, chain = self._next_commit, self._chain
        for start in range(0, len(still_open), _CARRIED_AT_ONCE):
            line = self._records.pack(still_open[start : start + _CARRIED_AT_ONCE])
            chain = _next_link(chain, line)
            self._set(f"tail.{commit}", chain[:_CHECK_CHARACTERS] + line)
            commit += 1
        self._write_header(header)
        self._header = header
        self._next_commit, self._chain = commit, chain
        self._commits = CommitLog(self._records, still_open)
        self._is_sealing = False

    def _segment_texts(self, rows: Sequence[PastRow], links: Sequence[Link]) -> Iterator[str]:
        """Write closed rows and what answers said of leads, in texts that are not too large for one key."""
        delivered = [row for row in rows if row.state != JournalState.REJECTED]
        at_once = CHUNK_CHARACTERS * 3 // (4 * self._records.delivered_bytes)
        for start in range(0, len(delivered), at_once):
            yield self._records.pack_delivered(delivered[start : start + at_once])
        for start in range(0, len(links), _LINKS_AT_ONCE):
            yield f";{pack_links(links[start : start + _LINKS_AT_ONCE])}"
        rejected = [
            json.dumps([b64encode(row.row_key).decode(), row.http_status, row.error_code, row.error, row.attempts],
                       separators=(",", ":"), ensure_ascii=False)
            for row in rows if row.state == JournalState.REJECTED
        ]  # fmt: skip
        longest = max((len(json.dumps(row)) for row in rejected), default=1)  # the store writes it as JSON once more
        at_once = max(CHUNK_CHARACTERS // longest, 1)
        for start in range(0, len(rejected), at_once):
            yield f";;[{','.join(rejected[start : start + at_once])}]"

    def _sweep(self) -> None:
        """Remove a few of the log's keys that no longer count."""
        header = self._header
        for number in range(header.swept, min(header.tail, header.swept + _SWEPT_AT_ONCE)):
            self._call(self._store.delete, self._key(f"tail.{number}"))
            header.swept = number + 1

    def _get(self, key: str) -> Any:
        return self._call(self._store.get, key)

    def _key(self, name: str) -> str:
        return f"{KEY}.{self._header.id}.{name}"

    def _set(self, name: str, value: Any) -> None:
        left = timedelta(seconds=max(self._header.expires - self._now(), 60.0))
        self._call(self._store.set, self._key(name) if name else KEY, value, retention=left)

    def _call(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except Exception as error:
            failed = JournalError if _is_refusal(error) else JournalUnavailable
            raise failed(f"Airflow's task state store failed: {type(error).__name__}") from error


def _parts_of(segment: str) -> list[str]:
    """Divide a segment: delivered rows, what answers said of leads, rejected rows."""
    return [*segment.split(";", 2), "", ""][:3]


def _links_in(segment: str) -> list[Link]:
    return list(unpack_links(_parts_of(segment)[1]))


def _is_refusal(error: Exception) -> bool:
    """Whether Airflow's api-server has answered, and would answer so again; a gateway's 404 may pass."""
    detail = getattr(getattr(error, "error", None), "detail", None)
    status = detail.get("status_code") if isinstance(detail, dict) else None
    return isinstance(status, int) and 400 <= status < 500 and status not in (401, 404, 408, 425, 429)


def _refuse_another_version(header: object) -> None:
    """Before anything else of it is read: its form may be another, too, and its rows would not be recognised."""
    if not isinstance(header, dict) or type(header.get("version")) is not int:
        return  # it is damaged, and that is said later
    version, key_rules = header["version"], header.get("key_rules")
    if version != VERSION or key_rules not in (None, KEY_RULES):
        raise _unusable(
            f"it was written by another version of this provider, in format {version} with key rules "
            f"{key_rules or 'none'}, and this version needs format {VERSION} with key rules {KEY_RULES}. Let the task "
            "end with the version that wrote it"
        )


def _unusable(why: str) -> JournalUnusable:
    return JournalUnusable(
        f"{why}. When the task's state is removed from Airflow's store, the next try reads every lead before anything "
        "is sent to it"
    )


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=4).hexdigest()


def _next_link(chain: str, line: str) -> str:
    return b64encode(blake2b(f"{chain};{line}".encode(), digest_size=12).digest()).decode()


def _header_check(header: _Header) -> str:
    return _digest(msgspec.json.encode(msgspec.structs.replace(header, swept=0)).decode())


def _as_past(intent: Intent) -> PastRow:
    trace = intent.trace
    return PastRow(
        intent.row_key, JournalState.INTENDED, intent.fingerprint, trace.trace_hash, attempts=intent.attempts,
        lead_id=trace.lead_id, content=trace.content[:CONTENT_BYTES],
    )  # fmt: skip


def _as_keyed(intent: Intent, keyed: bool) -> Intent:
    """An open row under the other kind of row key: without a ``unique_key`` it is the trace."""
    return intent if keyed else intent._replace(row_key=intent.trace.trace_hash)


def _shortened(closing: Closing) -> Closing:
    return closing._replace(error=(closing.error or "")[:_ERROR_CHARACTERS])
