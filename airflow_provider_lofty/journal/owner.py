"""Who owns rows of the journal's tables: one try of a task instance, and what it writes there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import NamedTuple
from uuid import uuid4

from airflow_provider_lofty.journal.journal import Closing, Intent, utc_now
from airflow_provider_lofty.journal.tables import Value, Values, storable
from airflow_provider_lofty.spool.history import JournalState
from airflow_provider_lofty.spool.sample import InputSample

FINAL = (JournalState.DELIVERED, JournalState.REJECTED)


class TaskPlace(NamedTuple):
    """Which task instance this is."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int

    @property
    def key(self) -> str:
        """A short name of it."""
        return blake2b("\n".join(map(str, self)).encode(), digest_size=8).hexdigest()


class Owner:
    """
    A try of a task instance.

    :param scope: names what row keys are told apart by: which Lofty, which ``unique_key``, and whose leads are
        looked for
    :param source: names where this task's rows come from
    :param max_tries: the task instance's; it changes when the task is cleared
    :param stale_seconds: a claim of its without a sign of life for so long may be taken over
    :param now: seconds since 1970
    :ivar name: no other try has it
    """

    def __init__(
        self,
        scope: str,
        source: str,
        place: TaskPlace,
        max_tries: int | None,
        stale_seconds: int,
        now: Callable[[], float],
    ) -> None:
        self.name = uuid4().hex
        self.task_key = place.key
        self.source = source
        self.max_tries = max_tries
        self.stale_seconds = stale_seconds
        self._scope = scope
        self._task = {**place._asdict(), "task_key": place.key}
        self._now = now

    def claims(self, intents: Iterable[Intent], state: JournalState, said: Closing | None = None) -> list[Values]:
        """Give what a row says when it is claimed, or closed without a claim; made for hundreds of rows at once."""
        shared = {
            "scope": self._scope,
            **self._task,
            **self.sign(),
            "state": state.value,
            "intended_at": utc_now(self._now),
            "closed_at": utc_now(self._now) if said else None,
            "http_status": said.http_status if said else None,
            "error_code": said.error_code if said else None,
            "error": storable(said.error) if said else None,
        }
        return [
            {
                **shared,
                "row_key": row_key.hex(),
                "fingerprint": fingerprint.hex(),
                "trace": trace.trace_hash.hex(),
                "lead_id": trace.lead_id,
                "activity_type": trace.type,
                "created_ms": trace.created,
                "text_mark": trace.text_mark.hex(),
                "link_mark": trace.link_mark.hex(),
                "attempts": said.attempts if said else attempts,
                "answered_lead": said.answered_lead if said else answered_lead,
            }
            for row_key, fingerprint, trace, attempts, answered_lead, *_ in intents
        ]

    def sign(self) -> dict[str, Value]:
        """Give what says whose a row is, and that its owner is alive."""
        return {"owner": self.name, "sign_of_life": uuid4().hex, "stale_seconds": self.stale_seconds}

    def closes(self, closing: Closing) -> Values:
        """Give what a claimed row says when it is known what came of it."""
        is_final = closing.state in FINAL
        return {
            "state": closing.state if is_final else JournalState.INTENDED,
            "attempts": closing.attempts,
            "closed_at": utc_now(self._now) if is_final else None,
            "http_status": closing.http_status,
            "error_code": closing.error_code,
            "error": storable(closing.error),
            "answered_lead": closing.answered_lead,
        }

    def begins(self, *, is_blind: bool) -> Values:
        """Give what the row of a run says at first."""
        return {**self._task, **self.starts(InputSample(0, b""), is_blind=is_blind), "journal_rows": 0}

    def starts(self, rows: InputSample, *, is_blind: bool) -> Values:
        """Give what it says when sending begins."""
        return {
            "source": self.source,
            "max_tries": self.max_tries,
            "row_count": rows.rows,
            "lowest": rows.lowest.hex(),
            "is_blind": int(is_blind),
            "started_at": utc_now(self._now),
        }
