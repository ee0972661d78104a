"""A task instance and its tries have names that stay."""

from __future__ import annotations

from support.practice import task_instance

from airflow_provider_lofty.task_key import NOT_MAPPED, TaskKey


def test_it_names_what_airflow_names() -> None:
    assert TaskKey.of(task_instance(map_index=3, try_number=2)) == ("a_dag", "a_run", "send", 3, 2)


def test_a_task_that_is_not_mapped_has_no_index() -> None:
    assert TaskKey.of(task_instance(map_index=None)) == TaskKey.of(task_instance(map_index=NOT_MAPPED))


def test_the_digest_is_the_instances_own_and_stays() -> None:
    key = TaskKey("a_dag", "a_run", "send")
    assert key.digest == "b19c0e4ad85efca0"  # stored in journals: another one would lose every task's own rows
    assert key._replace(try_number=7).digest == key.digest
    others = {
        key._replace(**other).digest for other in ({"dag_id": "b"}, {"run_id": "b"}, {"task_id": "b"}, {"map_index": 0})
    }
    assert len(others | {key.digest}) == 5
