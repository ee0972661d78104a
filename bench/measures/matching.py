"""Rows that know people by e-mail: what it costs to find their leads, and whether the right ones get them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.contenders import DRT_BY_EMAIL, LOOP_BY_EMAIL, PROVIDER, UNLIMITED, journal, unlimited
from bench.lofty import Lofty
from bench.people import Person, everybody, write_leads, write_rows
from bench.plan import Plan
from bench.processes import Client, Ended, Runner, at_once

CLIENTS = (PROVIDER, LOOP_BY_EMAIL, DRT_BY_EMAIL)
MOST_SECONDS = 120.0
AT_ONCE = 2  # counts do not depend on how fast it goes


def measure(plan: Plan, runner: Runner) -> dict[str, Any]:
    """
    Let each client deliver the same rows of the same people.

    :return: ``e-mail`` → client → ``rows``, ``addresses``, ``lookups`` and ``others`` (requests beyond those that
        post), ``right`` and ``wrong`` (rows by the lead that got them), ``told`` and ``silent`` (rows that none got)
    """
    for client in CLIENTS:
        runner.can_run(client)  # make its environment now, once
    people = everybody(plan.matching_people)
    rows = write_rows(runner.new("rows").with_suffix(".csv"), people)
    leads = write_leads(runner.new("leads").with_suffix(".json"), people)
    found = at_once(lambda client: _measure(runner, client, people, rows, leads), CLIENTS, AT_ONCE)
    return {"e-mail": {client.name: each for client, each in zip(CLIENTS, found, strict=True)}}


def _measure(runner: Runner, client: Client, people: list[Person], rows: Path, leads: Path) -> dict[str, Any]:
    if reason := runner.can_run(client):
        return {"not_run": reason}
    arguments = ("--match-by", "email", *journal(runner.new("state"))) if client.is_provider else ()
    with Lofty(requests_per_minute=UNLIMITED * 60, leads=str(leads)) as lofty:
        with runner.start(client, lofty, rows, *unlimited(client), *arguments) as running:
            ended = running.wait(MOST_SECONDS)
        return _counted(client, people, lofty.ask("posted"), ended)


def _counted(client: Client, people: list[Person], arrived: dict[str, Any], ended: Ended) -> dict[str, Any]:
    if ended.status is None or ended.failed is None:
        raise RuntimeError(f"{client.name} did not end as it should: {ended}")
    own = {text: each.lead_id for each in people for text in each.texts()}
    right = sum(own[text] == lead_id for text, lead_id in arrived["posted"])
    missing = len(own.keys() - {text for text, _ in arrived["posted"]})
    silent = max(missing - ended.failed, 0)
    return {
        "rows": len(own),
        "addresses": len(people),
        "lookups": arrived["lookups"],
        "others": arrived["others"],
        "right": right,
        "wrong": len(arrived["posted"]) - right,
        "told": missing - silent,
        "silent": silent,
    }
