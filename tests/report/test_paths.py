"""Each Dag run, task, map index and try has a report file of its own, inside its folder."""

from __future__ import annotations

import re
from pathlib import Path

from airflow_provider_lofty.report.paths import report_file
from airflow_provider_lofty.task_key import TaskKey


def test_a_folder_gets_a_file_for_each_run_task_map_index_and_try() -> None:
    path = report_file("s3://b/out/", TaskKey("a_dag", "manual__2026-03-01T10:00:00+00:00", "group.send", 3, 2))
    assert re.fullmatch(
        r"s3://b/out/a_dag__manual__2026-03-01T10-00-00\+00-00__group\.send_3__try_2__[0-9a-f]{12}\.csv", path
    )
    names = {
        report_file("r/", TaskKey(dag, run, task, index, attempt))
        for dag in "ab" for run in "ab" for task in "ab" for index in (-1, 0, 1) for attempt in (1, 2)
    }  # fmt: skip
    assert len(names) == 48
    assert report_file("r/x.jsonl", TaskKey("a", "b", "c", -1, 1)) == "r/x.jsonl"


def test_ids_that_look_alike_share_no_file() -> None:
    ids = [("a", "b__c", "t", -1), ("a__b", "c", "t", -1), ("a", "b:c", "t", -1), ("a", "b-c", "t", -1),
           ("a", "b", "t_1", -1), ("a", "b", "t", 1), ("a" * 250, "b", "t", -1), ("a" * 249, "b", "t", -1)]  # fmt: skip
    names = {report_file("r/", TaskKey(dag, run, task, index, 1)).casefold() for dag, run, task, index in ids}
    assert len(names) == len(ids)


def test_the_longest_ids_make_a_name_that_a_disk_takes(tmp_path: Path) -> None:
    path = Path(report_file(f"{tmp_path}/", TaskKey("d" * 250, "r" * 250, "t" * 250, 99999, 9999)))
    path.touch()
    assert path.exists()


def test_no_run_id_leads_out_of_the_folder() -> None:
    assert "/" not in report_file("r/", TaskKey("../../etc", "a/b\\c\0", "t", -1, 1)).removeprefix("r/")
