"""From what was measured to Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from bench.findings import better_elsewhere, grouped, percent, summary
from bench.measures import incremental
from bench.measures.faults import CASES, SETTLE_SECONDS, TIMEOUT_SECONDS
from bench.measures.waste import LATENCY_SECONDS, cases
from bench.people import ROWS_EACH, everybody
from bench.plan import Plan

Values = Mapping[str, Any]

HEAD = """\
# This provider against what people use instead

Written by `make bench`, which runs all of it anew: each client a process of its own, in an environment of its own
pinned in `requirements/`, against the practice Lofty of this repository in another process, on the same rows; where
speed is measured, against a quicker server. What arrived, and how often, is told by that server, not by the client.
Numbers are ratios and counts; where a plain number stands beside them it says what they are ratios of, on this machine.

![the results as bars](results.svg)
"""

CLIENTS = {
    "this provider": (
        "`LoftyAddActivityOperator.execute`, with its journal. Airflow's task state store is played by a SQLite file "
        "that takes 5 ms a call; it counts as Airflow's database, not as the worker's disk"
    ),
    "requests loop": "`requests.Session`, one row after the other; stops at the first error",
    "requests loop with Retry; requests in 8 or 16 threads": (
        "the same in a thread pool of 1, 8 or 16, with urllib3's `Retry(total=5, backoff_factor=1)` for POST on 429, "
        "5xx and dropped connections; a failed row is printed, does not stop the others, and makes the exit status 1"
    ),
    "singer-sdk": "a target with a `RecordSink` that posts; the tap sets a bookmark every 100 rows",
    "dlt": (
        "`@dlt.destination(batch_size=1)` with dlt's own `requests` helper; as it comes, and with the rows in 8 files "
        "for 8 workers"
    ),
    "drt-core": (
        "`rest_api` destination, run as its Airflow integration runs it, `mode: full` and `on_error: skip` as in its "
        "templates (`mode: incremental` keeps its bookmark only at the end of a run). It has "
        "one URL for all rows, so all go to one lead here; real rows would need a sync for each lead"
    ),
    "HttpOperator.expand": (
        "Airflow's own operator, one task instance a row, in `dag.test()`, which has no scheduler and so is faster "
        "than one. 20 rows only; by default Airflow maps 1024 at most"
    ),
}
CLIENTS_NOTE = "Retries of singer-sdk, dlt, drt-core and HttpOperator are left as they are by default."

TITLES = {
    "quota": "1. Share of the quota that is used",
    "waste": "2. Several processes, one limit",
    "faults": "3. When something goes wrong",
    "speed": "4. Speed without a limit, and processor time",
    "memory": "5. Memory",
    "matching": "6. Rows that know people by e-mail",
    "incremental": "7. Only what is new",
}
FAULTS = {
    "dropped": "Accepted and stored, then the connection drops: every 50th row",
    "killed, disk kept": "`kill -9` half-way, then run again on the same disk",
    "killed, disk gone": "`kill -9` half-way, then run again on another worker, whose disk is empty",
    "bad": "Every 10th row is one that Lofty answers with 400",
    "refused in 200": "Every 10th row is refused inside a 200 answer",
}


def write(results: Mapping[str, Any], plan: Plan) -> str:
    """Write the whole page."""
    measures = results["measures"]
    parts = [HEAD, summary(measures), better_elsewhere(measures), _who()]
    parts += [section(name, measures[name], plan) for name in TITLES if name in measures]
    parts.append(_colophon(results))
    return "\n".join(part for part in parts if part)


def _who() -> str:
    lines = "".join(f"| {name} | {text} |\n" for name, text in CLIENTS.items())
    return f"## Who takes part\n\n| client | what it is |\n|---|---|\n{lines}\n{CLIENTS_NOTE}\n"


def section(name: str, measured: Mapping[str, Any], plan: Plan) -> str:
    """Write what one measure found."""
    return f"## {TITLES[name]}\n\n{_wrapped(_WRITERS[name](measured['values'], plan))}"


def _wrapped(text: str) -> str:
    """Break long lines, but for tables."""
    lines = (line if line.startswith("|") else textwrap.fill(line, 120) for line in text.split("\n"))
    return "\n".join(lines)


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, rule, *lines))


def _clients(values: Mapping[str, Values]) -> list[str]:
    """Name the clients of a measure, in their order, the provider first."""
    names = list(dict.fromkeys(name for group in values.values() for name in group))
    return sorted(names, key=lambda name: not name.startswith("this provider"))


def _cell(found: Values | None, show: Callable[[Values], str]) -> str:
    if found is None:
        return "–"
    return "not run" if "not_run" in found else show(found)


def _not_run(values: Mapping[str, Values]) -> str:
    """Say why something was not run, once for each client and reason."""
    reasons = {
        (client, found["not_run"]): None for group in values.values() for client, found in group.items()
        if "not_run" in found
    }  # fmt: skip
    return "".join(f"\nNot run: {client}: {reason}.\n" for client, reason in reasons)


def _quota(values: Mapping[str, Values], plan: Plan) -> str:
    text = (
        f"The limit is {plan.requests_per_minute:g} requests a minute, as Lofty's for an app in production, in windows "
        f"of {plan.window_seconds:g} s instead of 60. Delivered rows as a share of what the limit allows, over "
        f"{plan.quota_windows} windows after the first two; in brackets the share of requests that were refused with "
        "429. No client is told the limit; it is in the answers' headers. Retries are not scaled down with the "
        "windows, which flatters whoever tries again by the clock: five retries of urllib3 take 30 s, five of these "
        "windows, but half of a real one.\n\n"
    )
    lines = [
        [client, *(_cell(group.get(client), lambda v: f"{percent(v['used'])} ({percent(v['refused'])})")
                   for group in values.values())]
        for client in _clients(values)
    ]  # fmt: skip
    return text + _table(["latency", *(f"{latency} ms" for latency in values)], lines) + _not_run(values)


def _waste(values: Mapping[str, Values], plan: Plan) -> str:
    text = (
        f"The same limit, shared by some processes, each with rows of its own; {LATENCY_SECONDS * 1000:g} ms latency; "
        "windows as the columns say, Lofty's own last 60 s. Share of requests refused / share of rows that did not "
        "arrive; then how many times the least time that the limit allows it took, where all rows arrived, and else "
        "how many of the processes were green all the same. The least time is that of whoever sends a whole window's "
        f"requests at once; an even pace takes {_even_paces(plan)} times as long. drt-core's `rate_limit` is set to "
        "the limit, as its documentation advises; each process keeps to it by itself.\n\n"
    )
    lines = [[client, *(_cell(group.get(client), _wasted) for group in values.values())] for client in _clients(values)]
    return text + _table(["processes × window", *values], lines) + _not_run(values)


def _even_paces(plan: Plan) -> str:
    paces = {
        case.window_seconds: f"{case.even_pace:.3g} (windows of {case.window_seconds:g} s)" for case in cases(plan)
    }
    return " and ".join(paces.values())


def _wasted(found: Values) -> str:
    ends = f"{found['green']} of {found['workers']} green"
    if found["unfinished"]:
        ends = f"{found['unfinished']} of {found['workers']} did not end"
    elif found["slowness"]:
        ends = f"{found['slowness']:.1f} ×"
    return f"{percent(found['refused'])} / {percent(found['lost'])}; {ends}"


def _faults(values: Mapping[str, Values], plan: Plan) -> str:
    text = (
        "A row is lost silently when Lofty does not have it and nobody said so: the run was green and did not count "
        "it, or the client calls it delivered. A run that stops with an error has said so of all its missing rows; "
        "that it will send those that arrived once more when it is run again shows only where it is killed. "
        f"For the provider `settle_seconds` is {SETTLE_SECONDS:g} and `timeout_seconds` {TIMEOUT_SECONDS:g} here, so "
        "that doubt is settled in seconds, not in a minute; after a kill it may wait ten times `settle_seconds`.\n"
    )
    parts = [text]
    for case in CASES:
        if case.name in values:
            parts += [
                f"\n**{FAULTS[case.name]}**\n",
                "\n",
                _fault(values[case.name]),
                _not_run({"": values[case.name]}),
            ]
    drt = "\ndrt-core is green where its Airflow integration returns; its command line exits with 1 when rows failed.\n"
    return "".join([*parts, drt])


def _fault(values: Values) -> str:
    head = ["client", "rows", "delivered", "twice", "missing, and told", "lost silently", "run"]
    return _table(head, [[client, *_fate(found)] for client, found in values.items()])


def _fate(found: Values) -> list[str]:
    if "not_run" in found:
        return ["not run", *[""] * 5]
    counts = [str(found[key]) for key in ("rows", "delivered", "duplicates", "told", "silent")]
    return [*counts, ("green" if found["green"] else "red") if found["finished"] else "did not end"]


def _speed(values: Mapping[str, Values], plan: Plan) -> str:
    rows = ", ".join(f"{count} at {latency * 1000:g} ms" for latency, count in plan.speed_rows.items())
    text = (
        "Against a server that only answers, with the practice Lofty's headers and bodies, and checks and keeps "
        f"nothing: it worked for at most {_busiest(values)} of the time of a run, so the clients are what is measured. "
        "**Rows a second** from the first POST to the last, divided by those of the bare loop in the same turn: the "
        f"median of the turns ({plan.speed_repeats}), in brackets the least and the most. Rows: {rows}. "
        "**Processor time of a row**, by the kernel's count, of the client's process and all that it starts: that for "
        f"{max(plan.speed_rows.values())} rows less that for {plan.speed_few_rows}, divided by the rows between, so "
        "that the start is not in it; as a multiple of the loop's, and in ms on this machine. Last the whole process "
        "with its start, to show what a small job costs: the provider loads Airflow, checks each row, keeps its "
        "journal and writes its report.\n\n"
    )
    heads = ["client"]
    for latency, group in values.items():
        heads += [f"rows/s, {latency} ms", *(["processor time of a row"] if _has_cost(group) else []), "whole process"]
    lines = [[client, *_speeds(values, client)] for client in _clients(values)]
    return text + _table(heads, lines) + _not_run(values)


def _speeds(values: Mapping[str, Values], client: str) -> Iterator[str]:
    for group in values.values():
        yield _cell(group.get(client), _ratio)
        if _has_cost(group):
            yield _cell(group.get(client), _cost)
        yield _cell(group.get(client), lambda v: f"{v['seconds']:.1f} s")


def _has_cost(group: Values) -> bool:
    return any("cpu_ms" in found for found in group.values())


def _busiest(values: Mapping[str, Values]) -> str:
    return percent(max(found.get("busy", 0.0) for group in values.values() for found in group.values()))


def _cost(found: Values) -> str:
    return f"{found['cpu_ratio']:.2f} ({found['cpu_least']:.2f}–{found['cpu_most']:.2f}); {found['cpu_ms']:.2f} ms"


def _ratio(found: Values) -> str:
    return f"{found['ratio']:.2f} ({found['least']:.2f}–{found['most']:.2f})"


def _memory(values: Mapping[str, Values], plan: Plan) -> str:
    few, many = (grouped(int(rows)) for rows in (next(iter(values)), list(values)[-1]))
    text = (
        "The most memory that the largest process of a client had while it delivered so many rows, and how it grew. "
        "The provider's includes Airflow itself, which its worker has loaded anyway.\n\n"
    )
    first, last = next(iter(values.values())), list(values.values())[-1]
    lines = [
        [
            client,
            _cell(first.get(client), _megabytes),
            _cell(last.get(client), _megabytes),
            _growth(first, last, client),
        ]
        for client in _clients(values)
    ]
    heads = ["client", f"{few} rows", f"{many} rows", "growth"]
    return text + _table(heads, lines) + _not_run(values)


def _megabytes(found: Values) -> str:
    return f"{found['peak_mb']:.0f} MB"


def _growth(first: Values, last: Values, client: str) -> str:
    peaks = [group.get(client, {}).get("peak_mb") for group in (first, last)]
    return f"{peaks[1] / peaks[0]:.2f} ×" if all(peaks) else "–"


def _matching(values: Mapping[str, Values], plan: Plan) -> str:
    people = everybody(plan.matching_people)
    shared, strangers = sum(each.is_shared for each in people), sum(each.lead_id is None for each in people)
    text = (
        f"{grouped(len(people) * ROWS_EACH)} rows of {len(people)} people, by e-mail address, and "
        f"{len(people) * 3 // 2} leads. Of the addresses, {shared} belong to two leads each, and {strangers} to none. "
        "**Requests that look for leads**, and how many that is for each address; **other requests** are those that "
        "neither look for leads nor send a row: the provider reads some leads back before it sends to them. Of two "
        "leads with one address, the rows are now the first's, now the second's: whoever takes the first is right "
        "half of the time.\n\n"
    )
    heads = ["client", "requests that look for leads", "for each address", "other requests"]
    heads += ["rows to the right lead", "to a wrong one", "to none, and told", "lost silently"]
    drt = (
        "\ndrt-core's `lookups` read a table of the destination's own database (PostgreSQL, MySQL, ClickHouse, "
        "Snowflake); below `rest_api` they are ignored without a word. So the addresses are looked up in a step before "
        "it, each once, as its users would have to write, and the sync is run once for each lead. The loop, too, looks "
        "each address up once. Both ask for exact matches, and both take the first lead.\n"
    )
    return text + _table(heads, _lines(values, _matched, len(heads))) + _not_run(values) + drt


def _matched(found: Values) -> list[str]:
    ratio = f"{found['lookups'] / found['addresses']:.3g}"
    return [str(found["lookups"]), ratio, *(str(found[key]) for key in ("others", "right", "wrong", "told", "silent"))]


def _incremental(values: Mapping[str, Values], plan: Plan) -> str:
    first, later = plan.incremental_rows
    text = (
        f"On the first day a table has {first} rows; on the second {later} more, {incremental.TIES} of them with the "
        f"last cursor of the day before, and one {incremental.LATE.seconds // 60} minutes below it, as it was "
        "committed late. The run of the second day is killed half-way (`kill -9`), and repeated on the same disk. "
        "**Rows read** are those of the repeated run; beside them, how many that is for each row of the second day. "
        f"The provider's `cursor_lag` is {incremental.LAG_MINUTES} minutes, as is drt-core's `watermark.lag` where it "
        "has one; its watermark is kept in a local file, and it compares with `>`. The provider's `settle_seconds` is "
        f"{incremental.SETTLE_SECONDS:g} here.\n\n"
    )
    heads = ["client", "rows", "rows read", "for each new row", "sent again", "lost"]
    drt = (
        "\ndrt-core can note what it has delivered (`state.idempotency`), but only where its state lies in a cloud "
        "warehouse.\n"
    )
    return text + _table(heads, _lines(values, _renewed, len(heads))) + _not_run(values) + drt


def _renewed(found: Values) -> list[str]:
    return [
        *(str(found[key]) for key in ("rows", "read")),
        f"{found['read'] / found['new']:.3g}",
        *(str(found[key]) for key in ("twice", "lost")),
    ]


def _lines(values: Mapping[str, Values], show: Callable[[Values], list[str]], width: int) -> Iterator[list[str]]:
    for group in values.values():
        for client, found in group.items():
            yield [client, *(["not run", *[""] * (width - 2)] if "not_run" in found else show(found))]


_WRITERS: dict[str, Callable[[Mapping[str, Values], Plan], str]] = {
    "quota": _quota,
    "waste": _waste,
    "faults": _faults,
    "speed": _speed,
    "memory": _memory,
    "matching": _matching,
    "incremental": _incremental,
}


def _colophon(results: Mapping[str, Any]) -> str:
    about = "\n".join(f"| {name} | {text} |" for name, text in results["machine"].items())
    when = ", ".join(
        f"{name} on {measured['date']} in {measured['seconds']} s" for name, measured in results["measures"].items()
    )
    return f"## Machine and versions\n\n| | |\n|---|---|\n{about}\n\nMeasured ({results['plan']}): {when}.\n"
