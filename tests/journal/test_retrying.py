"""A store that is away for a while: what is asked again, for how long, and what is said of it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from support.desk import Clock, KeptJournal
from support.practice import Log

from airflow_provider_lofty.journal.journal import JournalError, JournalUnavailable, JournalUnusable
from airflow_provider_lofty.journal.retrying import FIRST_PATIENCE_SECONDS, PATIENCE_SECONDS, RetryingJournal


class Event(threading.Event):
    """A stop whose wait takes no time of ours, and that may come while it is waited for."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.comes_at = float("inf")

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        assert timeout >= 0
        if self.clock.now + timeout >= self.comes_at:
            self.clock.now = max(self.clock.now, self.comes_at)
            self.set()
        elif not self.is_set():
            self.clock.now += timeout
        return self.is_set()


class Away(KeptJournal):
    """A journal whose store is away from the beginning until a time."""

    def __init__(self, clock: Clock, until: float, error: JournalError | None = None) -> None:
        super().__init__(clock)
        self._until = until
        self._error = error or JournalUnavailable("the journal's database failed: OperationalError")
        self.asked: list[float] = []

    def commit(self, *given: Any) -> Any:
        self._fail()
        return super().commit(*given)

    def begin(self, *, is_later_try: bool) -> bool:
        self._fail()
        return is_later_try

    def _fail(self) -> None:
        self.asked.append(self._clock.now)
        if self._clock.now < self._until:
            raise self._error


class Scene:
    def __init__(self, seconds: float, error: JournalError | None = None, *, deadline: float = float("inf")) -> None:
        self.clock, self.log = Clock(), Log()
        self.began = self.clock.now
        self.stop = Event(self.clock)
        self.kept = Away(self.clock, self.began + seconds, error)
        self.journal = RetryingJournal(
            self.kept, self.log, self.stop, deadline=self.began + deadline, clock=self.clock
        )  # fmt: skip

    @property
    def passed(self) -> float:
        return self.clock.now - self.began


@pytest.mark.parametrize("seconds", [0.1, 3.6, 27.0, 110.0])
def test_it_is_asked_until_it_answers_and_that_is_said_twice(seconds: float) -> None:
    scene = Scene(seconds)
    assert scene.journal.commit((), ()) == set()
    assert seconds <= scene.passed <= seconds + 4
    assert len(scene.kept.commits) == 1
    away, back = scene.log.lines
    assert "OperationalError" in away
    assert "nothing is sent" in away
    assert "answers again" in back


def test_one_that_answers_is_asked_once_and_nothing_is_said() -> None:
    scene = Scene(0)
    scene.journal.commit((), ())
    assert (scene.kept.asked, scene.log.lines) == ([scene.began], [])


def test_after_two_minutes_it_is_given_up() -> None:
    scene = Scene(10_000)
    with pytest.raises(JournalUnavailable, match=r"OperationalError, for 12\d s"):
        scene.journal.commit((), ())
    assert PATIENCE_SECONDS <= scene.passed <= PATIENCE_SECONDS + 1
    assert len(scene.kept.asked) < 60


def test_one_that_never_answered_may_be_the_wrong_one() -> None:
    scene = Scene(10_000)
    with pytest.raises(JournalUnavailable):
        scene.journal.begin(is_later_try=False)
    assert scene.passed == FIRST_PATIENCE_SECONDS


def test_the_run_ends_in_time_all_the_same() -> None:
    scene = Scene(10_000, deadline=20)
    with pytest.raises(JournalUnavailable):
        scene.journal.commit((), ())
    assert scene.passed == 20
    with pytest.raises(JournalUnavailable):
        scene.journal.commit((), ())
    assert scene.passed == 20


def test_a_stop_ends_the_waiting_at_once() -> None:
    scene = Scene(10_000)
    scene.stop.comes_at = scene.began + 11.3
    with pytest.raises(JournalUnavailable):
        scene.journal.commit((), ())
    assert scene.passed == pytest.approx(11.3)
    asked = len(scene.kept.asked)
    with pytest.raises(JournalUnavailable):
        scene.journal.commit((), ())
    assert len(scene.kept.asked) == asked + 1  # the last word of a run that ends is tried once


@pytest.mark.parametrize("error", [JournalError("no right"), JournalUnusable("damaged")])
def test_what_can_never_get_better_stops_at_once(error: JournalError) -> None:
    scene = Scene(10_000, error)
    with pytest.raises(type(error)) as caught:
        scene.journal.commit((), ())
    assert caught.value is error
    assert (scene.passed, scene.log.lines) == (0, [])


def test_nor_is_it_asked_again_when_that_shows_later() -> None:
    scene = Scene(1)
    scene.kept.commit = lambda *_: (_ for _ in ()).throw(scene.errors.pop(0))  # type: ignore[method-assign]
    scene.errors = [JournalUnavailable("away"), JournalUnusable("damaged")]  # type: ignore[attr-defined]
    with pytest.raises(JournalUnusable):
        scene.journal.commit((), ())
    assert scene.errors == []  # type: ignore[attr-defined]
