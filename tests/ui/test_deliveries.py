"""The page "Lofty deliveries": what it lists, for whom, and what that costs Airflow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from airflow import settings
from airflow.sdk import ObjectStoragePath
from sqlalchemy import event, insert, text

from airflow_provider_lofty.task_key import TaskKey
from airflow_provider_lofty.ui import deliveries_queries
from airflow_provider_lofty.ui.deliveries_list import PAGE, Wanted, page_of
from airflow_provider_lofty.ui.deliveries_queries import Delivery, LoftyTasks, as_key

from .conftest import Ran, token

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

ASKED = ("", "/list")
MADE = ("made_up_a", "made_up_b")
BEGAN = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)

pytestmark = [
    # Airflow's own code, which these tests run whole, warns about itself.
    pytest.mark.filterwarnings("default"),
]


def url(rest: str = "") -> str:
    return f"/lofty/deliveries{rest}"


def listed(client: TestClient, **wanted: Any) -> dict[str, Any]:
    """A page of deliveries."""
    answer = client.get(url("/list"), params=wanted)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ended(*, try_number: int = 1, **summary: Any) -> dict[str, Any]:
    return {"try_number": try_number, "phase": "ended", "summary": {"seconds": 60.0, "format": 1, **summary}}


def id_of(number: int) -> UUID:
    """The id of a try; later ones are greater, as Airflow's are."""
    return UUID(int=(0x0199 << 112) + number)


def run_id(number: int) -> str:
    return f"made_{number:05}"


class MadeUp:
    """Deliveries as Airflow's database has them, without tasks that ran: the first is the oldest."""

    def __init__(self) -> None:
        self._runs = 0

    def add(
        self, *pushed: Any, dag_id: str = MADE[0], state: str = "success", is_mapped: bool = False, **columns: Any
    ) -> None:
        """
        Add one for each of the values that its task has pushed; for None, it has pushed nothing.

        :param is_mapped: they are of one run, the instances of a mapped task
        """
        from airflow.models.dagrun import DagRun
        from airflow.models.taskinstance import TaskInstance
        from airflow.models.xcom import XComModel

        numbers = range(self._runs, self._runs + len(pushed))
        self._runs += len(pushed)
        ids = [
            {"dag_id": dag_id, "n": 10**6 + n, "run": numbers[0] if is_mapped else n, "map_index": index}
            for index, n in (enumerate(numbers) if is_mapped else ((-1, n) for n in numbers))
        ]
        runs = [
            {
                "id": 10**6 + run,
                "dag_id": dag_id,
                "run_id": run_id(run),
                "run_type": "manual",
                "run_after": BEGAN,
                "state": state,
            }
            for run in sorted({one["run"] for one in ids})
        ]
        instances = [
            {
                "id": as_key(id_of(one["n"])),
                "dag_id": dag_id,
                "run_id": run_id(one["run"]),
                "task_id": "send",
                "map_index": one["map_index"],
                "state": state,
                "try_number": 1,
                "max_tries": 0,
                "pool": "default_pool",
                "pool_slots": 1,
                "start_date": BEGAN,
                "end_date": BEGAN + timedelta(seconds=90),
                "executor_config": {},
                **columns,
            }
            for one in ids
        ]
        xcoms = [
            {
                "dag_run_id": 10**6 + one["run"], "dag_id": dag_id, "run_id": run_id(one["run"]), "task_id": "send",
                "map_index": one["map_index"], "key": "lofty_progress", "value": value, "timestamp": BEGAN,
            }
            for one, value in zip(ids, pushed, strict=True)
            if value is not None
        ]  # fmt: skip
        with settings.engine.begin() as connection:
            for model, rows in ((DagRun, runs), (TaskInstance, instances), (XComModel, xcoms)):
                if rows:
                    connection.execute(insert(model.__table__), rows)


@pytest.fixture(autouse=True)
def keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was made up a moment ago is listed at once."""
    monkeypatch.setattr(deliveries_queries, "_MOST_SECONDS", -1.0)
    monkeypatch.setattr("airflow_provider_lofty.ui.deliveries._MOST_KEPT_SECONDS", -1.0)


@pytest.fixture
def made(airflow_database: None) -> Iterator[MadeUp]:
    yield MadeUp()
    with settings.engine.begin() as connection:
        for table in ("xcom", "task_instance", "dag_run"):
            connection.execute(text(f"DELETE FROM {table} WHERE dag_id LIKE 'made_up_%'"))


@contextmanager
def statements() -> Iterator[list[str]]:
    """What Airflow's database is asked for."""
    asked: list[str] = []

    def note(_: Any, __: Any, statement: str, *others: Any) -> None:
        asked.append(statement)

    event.listen(settings.engine, "before_cursor_execute", note)
    yield asked
    event.remove(settings.engine, "before_cursor_execute", note)


class TestAccess:
    """Airflow decides who is there and what that user may read."""

    @pytest.mark.parametrize("asked", ASKED)
    def test_nobody_and_one_without_rights_get_nothing(self, client: TestClient, ran: Ran, asked: str) -> None:
        assert client.get(url(asked)).status_code == 401
        client.headers["Authorization"] = f"Bearer {token(None)}"
        assert client.get(url(asked)).status_code == 403

    def test_the_cookie_of_airflows_page_is_enough(self, client: TestClient, ran: Ran) -> None:
        client.cookies.set("_token", token("VIEWER"))
        assert [client.get(url(asked)).status_code for asked in ASKED] == [200, 200]

    def test_dags_that_the_viewer_may_not_read_do_not_occur(
        self, viewer: TestClient, ran: Ran, made: MadeUp, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow.api_fastapi.app import get_auth_manager

        def is_authorized_dag(*, method: str, user: Any, access_entity: Any = None, details: Any = None) -> bool:
            assert (method, access_entity.value) == ("GET", "XCOM")
            return details.id != MADE[0]

        made.add(ended(delivered=1), dag_id=MADE[0])
        made.add(ended(delivered=2), dag_id=MADE[1])
        assert {*MADE, ran.dag_id} <= set(listed(viewer)["dags"])
        monkeypatch.setattr(get_auth_manager(), "is_authorized_dag", is_authorized_dag)
        for wanted in ({}, {"dag": MADE[0]}, {"outcome": "delivered"}):
            assert MADE[0] not in json.dumps(listed(viewer, **wanted))
        assert listed(viewer, dag=MADE[0])["deliveries"] == []
        assert len(listed(viewer, dag=MADE[1])["deliveries"]) == 1

    def test_the_page_is_in_airflows_navigation(self, viewer: TestClient, ran: Ran) -> None:
        plugins = viewer.get("/api/v2/plugins", headers={"Authorization": f"Bearer {token('ADMIN')}"}).json()["plugins"]
        views = [view for plugin in plugins for view in plugin["external_views"] if view["destination"] == "nav"]
        (ours,) = (view for view in views if view["name"] == "Lofty deliveries")
        assert viewer.get(f"/{ours['href']}").text.count("deliveries.js") == 1

    def test_the_page_loads_nothing_from_elsewhere(self, viewer: TestClient, ran: Ran) -> None:
        page = viewer.get(url())
        assert "default-src 'none'; script-src 'self'" in page.headers["content-security-policy"]
        texts = [viewer.get(f"/lofty/static/deliveries.{ending}").text for ending in ("css", "js")]
        assert not any("http" in text.replace("HTTP", "") for text in (page.text, *texts))

    @pytest.mark.parametrize("wrong", ["outcome=x", "before=x", f"dag={'x' * 251}"])
    def test_a_parameter_that_is_none_is_refused(self, viewer: TestClient, ran: Ran, wrong: str) -> None:
        assert viewer.get(url(f"/list?{wrong}")).status_code == 422


class TestListing:
    """Which deliveries there are, and what is known of each."""

    def test_a_task_that_ran_is_listed_with_its_counts(self, viewer: TestClient, ran: Ran) -> None:
        one = listed(viewer, dag=ran.dag_id)["deliveries"][0]
        assert (one["run_id"], one["task_id"], one["map_index"], one["try"]) == (ran.run_id, ran.task_id, -1, 1)
        assert (one["state"], one["is_over"], one["counts"], one["read"]) == ("success", True, "known", 3)
        assert one["outcomes"] == {"delivered": 2, "unmatched": 1}
        assert one["rows_per_minute"] > 0
        assert one["seconds"] > 0

    def test_they_come_page_by_page_newest_first_and_in_a_bounded_number_of_statements(
        self, viewer: TestClient, ran: Ran, made: MadeUp
    ) -> None:
        made.add(*(ended(delivered=n + 1) for n in range(2 * PAGE + 1)))
        seen: list[int] = []
        before = ""
        for size in (PAGE, PAGE, 1):
            with statements() as asked:
                page = listed(viewer, dag=MADE[0], **({"before": before} if before else {}))
            assert len([one for one in asked if "SELECT" in one]) <= 8
            assert len(page["deliveries"]) == size
            seen += (one["outcomes"]["delivered"] for one in page["deliveries"])
            before = page["next"]
        assert before is None
        assert seen == list(range(2 * PAGE + 1, 0, -1))

    def test_one_that_shows_nothing_is_listed_and_what_an_earlier_try_showed_is_not_its_own(
        self, viewer: TestClient, made: MadeUp
    ) -> None:
        made.add(ended(delivered=1))
        made.add(None, state="failed")
        made.add(ended(delivered=7), state="running", try_number=2, end_date=None)
        made.add(None, start_date=None, state="queued")  # has not begun
        found = [(one["state"], one["counts"], one["outcomes"]) for one in listed(viewer, dag=MADE[0])["deliveries"]]
        assert found == [
            ("running", "nothing", {}), ("failed", "nothing", {}), ("success", "known", {"delivered": 1}),
        ]  # fmt: skip

    def test_the_page_of_one_that_has_not_begun_says_so(self, viewer: TestClient, made: MadeUp) -> None:
        made.add(None, start_date=None, end_date=None, state="queued")
        told = viewer.get(Ran(MADE[0], run_id(0), "send", Path()).url("/standing")).json()
        assert (told["tries"], told["is_over"]) == ([{"number": 1, "state": "queued", "seconds": None}], False)
        assert (told["progress"], told["outcomes"]) == (None, {})

    def test_the_page_of_a_mapped_task_as_a_whole_tells_what_each_of_its_instances_did(
        self, viewer: TestClient, made: MadeUp
    ) -> None:
        sending = {"try_number": 1, "phase": "sending", "read": 9, "outcomes": {"delivered": 5, "unmatched": 0}}
        made.add(ended(read=3, delivered=1, rejected=1, invalid=1), sending, None, is_mapped=True)
        task = Ran(MADE[0], run_id(0), "send", Path())
        told = viewer.get(task.url("/standing")).json()
        assert (told["run_id"], told["task_id"], told["map_index"]) == (run_id(0), "send", -1)
        assert [(one["map_index"], one["state"], one["read"]) for one in told["mapped"]] == [
            (0, "success", None), (1, "success", 9), (2, "success", None),
        ]  # fmt: skip
        assert [(one["outcomes"], one["failed"]) for one in told["mapped"]] == [
            ({"delivered": 1, "rejected": 1, "invalid": 1}, 2), ({"delivered": 5}, 0), ({}, 0),
        ]  # fmt: skip
        assert viewer.get(task.url("/standing", map_index="0")).json()["summary"]["read"] == 3

    def test_one_that_runs_shows_how_far_it_is(self, viewer: TestClient, made: MadeUp) -> None:
        status = {"try_number": 1, "phase": "sending", "read": 10, "left": 4, "rows_per_minute": 480.0}
        made.add({**status, "outcomes": {"delivered": 6}}, state="running", end_date=None)
        (one,) = listed(viewer, dag=MADE[0])["deliveries"]
        assert (one["phase"], one["left"], one["rows_per_minute"]) == ("sending", 4, 480.0)
        assert (one["outcomes"], one["is_over"]) == ({"delivered": 6}, False)

    @pytest.mark.parametrize(
        ("outcome", "expected"),
        [("", [5, 4, 3, 2, 1]), ("running", [5]), ("task_failed", [4, 3]), ("failed", [3, 2]), ("unmatched", [2]),
         ("delivered", [5, 3, 1]), ("duplicate", [])],
    )  # fmt: skip
    def test_they_are_filtered_by_outcome(
        self, viewer: TestClient, made: MadeUp, outcome: str, expected: list[int]
    ) -> None:
        made.add(ended(read=1, delivered=9), ended(read=2, unmatched=1))
        made.add(ended(read=3, delivered=1, rejected=1), state="failed")
        made.add({"try_number": 1, "phase": "ended", "read": 4, "error": {"type": "X"}}, state="up_for_retry")
        made.add({"try_number": 1, "phase": "sending", "read": 5, "outcomes": {"delivered": 2}}, state="running")
        assert len({one["run_id"] for one in listed(viewer, dag=MADE[0])["deliveries"]}) == 5
        runs = [int(one["run_id"][5:]) + 1 for one in listed(viewer, dag=MADE[0], outcome=outcome)["deliveries"]]
        assert runs == expected

    @pytest.mark.parametrize(
        ("pushed", "counts"),
        [("text", "unreadable"), ([1], "unreadable"), ({"outcomes": 5}, "nothing"), (ended(format=2), "other_format"),
         ({**ended(), "try_number": "1"}, "nothing"), (ended(delivered="x", seconds="x"), "known")],
    )  # fmt: skip
    def test_what_a_task_pushes_may_be_anything(
        self, viewer: TestClient, made: MadeUp, pushed: Any, counts: str
    ) -> None:
        made.add(pushed)
        for outcome in ("", "delivered"):
            for one in listed(viewer, dag=MADE[0], outcome=outcome)["deliveries"]:
                assert (one["counts"], one["outcomes"]) == (counts, {})


class TestBounds:
    """One request looks at so many deliveries, and reads from other stores for so long."""

    @pytest.fixture
    def store(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        from airflow.providers.common.io.xcom import backend

        monkeypatch.setattr(backend, "_get_base_path", lambda: ObjectStoragePath(tmp_path.as_uri()))
        monkeypatch.setattr("airflow_provider_lofty.ui.xcoms.XCom", backend.XComObjectStorageBackend)
        return tmp_path

    @staticmethod
    def kept_in(store: Path, number: int) -> Delivery:
        (store / f"{number}.json").write_text(json.dumps(ended(delivered=number)), encoding="utf-8")
        task = TaskKey(MADE[0], f"made_{number}", "send")
        return Delivery(str(number), task, "success", BEGAN, BEGAN, f"{store.as_uri()}/{number}.json", BEGAN)

    @staticmethod
    def of_a_second(objects: int) -> Callable[[], float]:
        """A clock by which a second is over after so many were read."""
        times = iter([0.0, *([0.5] * objects), *([2.0] * 100)])
        return lambda: next(times)

    def test_what_a_store_keeps_is_read_for_a_second_and_the_rest_is_said_not_to_be(self, store: Path) -> None:
        kept = [self.kept_in(store, n) for n in range(5, 0, -1)]
        page = page_of(kept, Wanted(), [MADE[0]], clock=self.of_a_second(2))
        assert [one.counts for one in page.deliveries] == ["known"] * 2 + ["not_read"] * 3
        assert [one.outcomes.get("delivered") for one in page.deliveries] == [5, 4, None, None, None]
        filtered = page_of(kept, Wanted(outcome="delivered"), [MADE[0]], clock=self.of_a_second(2))
        assert (len(filtered.deliveries), filtered.undecided) == (2, 3)

    def test_nothing_is_read_for_one_who_has_gone(self, store: Path) -> None:
        page = page_of([self.kept_in(store, 1)], Wanted(), [MADE[0]], lambda: True)
        assert [one.counts for one in page.deliveries] == ["not_read"]

    def test_a_filter_looks_at_so_many_and_the_next_page_goes_on_from_there(
        self, viewer: TestClient, made: MadeUp, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("airflow_provider_lofty.ui.deliveries_list._MOST_EXAMINED", 10)
        made.add(ended(rejected=1), *(ended(delivered=1) for _ in range(12)))
        first = listed(viewer, dag=MADE[0], outcome="rejected")
        assert (first["deliveries"], first["examined"]) == ([], 10)
        second = listed(viewer, dag=MADE[0], outcome="rejected", before=first["next"])
        assert [one["outcomes"] for one in second["deliveries"]] == [{"rejected": 1}]
        assert second["next"] is None

    def test_a_filter_shows_no_more_than_a_page_and_the_next_page_goes_on_after_it(
        self, viewer: TestClient, made: MadeUp
    ) -> None:
        made.add(*(ended(delivered=n + 1) for n in range(PAGE + 2)))
        first = listed(viewer, dag=MADE[0], outcome="delivered")
        assert (len(first["deliveries"]), first["examined"]) == (PAGE, PAGE)
        second = listed(viewer, dag=MADE[0], outcome="delivered", before=first["next"])
        assert [one["outcomes"] for one in second["deliveries"]] == [{"delivered": 2}, {"delivered": 1}]
        assert second["next"] is None

    def test_whoever_asks_for_the_same_again_is_given_the_same_for_a_while(
        self, web_server: Any, made: MadeUp, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        from airflow_provider_lofty.ui import deliveries  # with Airflow's web server, whose import may warn

        now, looks = 0.0, []

        def look(*arguments: Any, **options: Any) -> list[Delivery]:
            nonlocal now
            now += 0.01
            looks.append(options)
            return []

        made.add(ended())
        monkeypatch.setattr(deliveries, "_MOST_KEPT_SECONDS", 2.0)
        monkeypatch.setattr(deliveries, "deliveries_of", look)
        clerk = deliveries.Clerk(lambda: now)

        def ask(**wanted: Any) -> None:
            user = SimpleAuthManagerUser(username="somebody", role="VIEWER")
            assert json.loads(asyncio.run(clerk.ask(user, Wanted(**wanted))))["deliveries"] == []

        ask()
        ask()
        assert len(looks) == 1
        ask(outcome="running")
        monkeypatch.setattr(deliveries, "readable", lambda tasks, user: set())
        ask()  # to somebody who may see less
        assert len(looks) == 3
        now += 1.0
        ask()
        assert len(looks) == 4

    def test_tasks_are_looked_for_the_more_rarely_the_longer_it_takes(
        self, made: MadeUp, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(deliveries_queries, "_MOST_SECONDS", 60.0)
        now = 0.0

        def clock() -> float:
            nonlocal now
            now += 0.1  # so long does each look take
            return now

        tasks = LoftyTasks(clock)
        made.add(ended())
        assert (MADE[0], "send") in tasks.find().ids
        made.add(ended(), dag_id=MADE[1])
        assert (MADE[1], "send") not in tasks.find().ids
        now += 5.0
        assert (MADE[1], "send") in tasks.find().ids
