"""What the numbers say, in sentences that are made from them: where the provider is better, and where it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bench import contenders
from bench.contenders import (
    DLT,
    DLT_8,
    DRT,
    DRT_NEW_LAG,
    HTTP_OPERATOR,
    LOOP,
    POOL_8,
    POOL_16,
    PROVIDER_16,
    RETRYING_LOOP,
    SINGER,
)

PROVIDER = contenders.PROVIDER.name
Values = Mapping[str, Mapping[str, Any]]


def percent(share: float) -> str:
    """Write a share; a small one that is not nothing stays visible."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    return f"{share * 100:.1f} %" if 0 < share < 0.0995 else f"{share * 100:.0f} %"


def grouped(number: int) -> str:
    """Write a number with a space before each group of three digits."""
    return f"{number:,}".replace(",", " ")


def summary(measures: Mapping[str, Any]) -> str:
    """Write the main results as one table: a line for each client, a column for each measure."""
    columns = {
        title: cells
        for name, write in _COLUMNS.items()
        if name in measures
        for title, cells in write(measures[name]["values"])
    }
    clients = sorted({client for cells in columns.values() for client in cells}, key=_CLIENTS.index)
    lines = [["", *columns], ["---", *["---:"] * len(columns)]]
    lines += [[client, *(cells.get(client, "–") for cells in columns.values())] for client in clients]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"## In short\n\n{table}\n\n{_SUMMARY_NOTE}\n"


def better_elsewhere(measures: Mapping[str, Any]) -> str:
    """Write where another client had the better number."""
    lines = [
        f"- {sentence}"
        for name, write in _COMPARISONS.items()
        if name in measures
        for sentence in write(measures[name]["values"])
    ]
    return "\n".join(["## Where others are better\n", *(lines or ["- In nothing that was measured."]), ""])


def wrong(found: Mapping[str, Any]) -> int:
    """How many rows are there twice or were lost silently."""
    return int(found["duplicates"] + found["silent"])


def _ran(group: Mapping[str, Any]) -> dict[str, Any]:
    return {client: found for client, found in group.items() if "not_run" not in found}


def _others(group: Mapping[str, Any]) -> dict[str, Any]:
    return {client: found for client, found in _ran(group).items() if not client.startswith(PROVIDER)}


_CLIENTS = [
    PROVIDER,
    *(
        client.name
        for client in (LOOP, RETRYING_LOOP, POOL_8, POOL_16, SINGER, DLT, DLT_8, DRT, DRT_NEW_LAG, HTTP_OPERATOR)
    ),
]
_SUMMARY_NOTE = "A dash: not measured, as the client has no part in that question, or could not run (see below)."


def _known(group: Mapping[str, Any], show: Callable[[Any], str]) -> dict[str, str]:
    """Write what each client did; where the provider ran in two ways, the one with 16 in flight."""
    ran = _ran(group)
    if PROVIDER_16.name in ran:
        ran = {PROVIDER: ran.pop(PROVIDER_16.name), **ran}
    return {client: show(found) for client, found in ran.items() if client in _CLIENTS}


def _quota(values: Values) -> Iterator[tuple[str, dict[str, str]]]:
    for latency in dict.fromkeys((next(iter(values)), list(values)[-1])):
        yield f"quota used at {latency} ms latency", _known(values[latency], lambda v: percent(v["used"]))


def _waste(values: Values) -> Iterator[tuple[str, dict[str, str]]]:
    case, group = list(values.items())[-1]
    yield f"requests refused, {case} windows", _known(group, lambda v: percent(v["refused"]))
    yield "rows that did not arrive there", _known(group, lambda v: percent(v["lost"]))


def _faults(values: Values) -> Iterator[tuple[str, dict[str, str]]]:
    sums: dict[str, dict[str, int]] = {}
    for group in values.values():
        for client, found in _ran(group).items():
            kept = sums.setdefault(client, dict.fromkeys(("rows", "duplicates", "silent", "faults"), 0))
            for key in ("rows", "duplicates", "silent"):
                kept[key] += found[key]
            kept["faults"] += 1
    for title, key in (("rows twice, all faults", "duplicates"), ("rows lost silently, all faults", "silent")):
        yield title, {client: _of_rows(found, key, len(values)) for client, found in sums.items()}


def _of_rows(found: Mapping[str, int], key: str, faults: int) -> str:
    only = "" if found["faults"] == faults else f", in {found['faults']} of {faults} faults"
    return f"{found[key]} of {found['rows']}{only}"


def _speed(values: Values) -> Iterator[tuple[str, dict[str, str]]]:
    for latency, group in values.items():
        yield f"rows/s at {latency} ms, loop = 1", _known(group, lambda v: f"{v['ratio']:.2f}")
        if costs := {client: found for client, found in _ran(group).items() if "cpu_ratio" in found}:
            yield "processor time of a row, loop = 1", _known(costs, lambda v: f"{v['cpu_ratio']:.2f}")


def _memory(values: Values) -> Iterator[tuple[str, dict[str, str]]]:
    first, last = (_ran(group) for group in (next(iter(values.values())), list(values.values())[-1]))
    grown = {client: last[client]["peak_mb"] / first[client]["peak_mb"] for client in last if client in first}
    more = int(list(values)[-1]) / int(next(iter(values)))
    yield f"memory, {more:g} × the rows", {client: f"{ratio:.2f} ×" for client, ratio in grown.items()}


def _matching(values: Values) -> Iterator[tuple[str, dict[str, str]]]:
    for group in values.values():
        yield "look-ups for each e-mail address", _known(group, lambda v: f"{v['lookups'] / v['addresses']:.3g}")
        yield "rows to a wrong lead there", _known(group, lambda v: f"{v['wrong']} of {v['rows']}")


def _incremental(values: Values) -> Iterator[tuple[str, dict[str, str]]]:
    for group in values.values():
        for title, key in (("only what is new: rows sent again", "twice"), ("rows lost there", "lost")):
            yield title, {client: f"{found[key]} of {found['rows']}" for client, found in _ran(group).items()}


_COLUMNS: dict[str, Callable[[Values], Iterator[tuple[str, dict[str, str]]]]] = {
    "quota": _quota,
    "waste": _waste,
    "faults": _faults,
    "speed": _speed,
    "memory": _memory,
    "matching": _matching,
    "incremental": _incremental,
}


def _better(group: Mapping[str, Any], is_better: Callable[[Any, Any], bool], show: Callable[[Any], str]) -> str:
    """List the clients that did better than the provider, and the provider; nothing when none did."""
    own = _ran(group).get(PROVIDER)
    better = {client: found for client, found in _others(group).items() if own and is_better(found, own)}
    listed = ", ".join(f"{client} {show(found)}" for client, found in better.items())
    return f"{listed}; this provider {show(own)}" if better else ""


def _more_quota(values: Values) -> Iterator[str]:
    for latency, group in values.items():
        better = _better(group, lambda found, own: found["used"] > own["used"] + 0.005, _used)
        if better:
            yield f"Quota used at {latency} ms: {better}."


def _used(found: Any) -> str:
    return f"{percent(found['used'])} ({percent(found['refused'])} of its requests refused)"


def _less_waste(values: Values) -> Iterator[str]:
    for case, group in values.items():
        better = _better(group, lambda found, own: found["refused"] < own["refused"], lambda v: percent(v["refused"]))
        if better:
            yield f"Requests refused, {case} windows: {better}."
        sooner = _better(group, _is_sooner, lambda v: f"{v['slowness']:.1f}")
        if sooner:
            yield f"Time, as a multiple of the least that the limit allows, {case} windows: {sooner}."


def _is_sooner(found: Any, own: Any) -> bool:
    return bool(found["slowness"] and own["slowness"] and found["slowness"] < own["slowness"] - 0.05)


def _fewer_wrong(values: Values) -> Iterator[str]:
    for fault, group in values.items():
        better = _better(group, lambda found, own: wrong(found) < wrong(own), lambda v: str(wrong(v)))
        if better:
            yield f"Rows twice or silently lost, “{fault}”: {better}."
        quicker = _better(
            group, lambda found, own: found["seconds"] < own["seconds"], lambda v: f"{v['seconds']:.0f} s"
        )
        if fault.startswith("killed") and quicker:
            yield f"Time of the run after a kill, “{fault}”, settling of doubt included: {quicker}."


def _faster(values: Values) -> Iterator[str]:
    for latency, group in values.items():
        own = [found for client, found in _ran(group).items() if client.startswith(PROVIDER)]
        if own:
            best = {**_others(group), PROVIDER: max(own, key=lambda found: found["ratio"])}
            better = _better(best, lambda found, ours: found["ratio"] > ours["ratio"], lambda v: f"{v['ratio']:.2f}")
            if better:
                yield f"Rows a second at {latency} ms, as a multiple of the loop's: {better}."
            sooner = _better(
                best, lambda found, ours: found["seconds"] < ours["seconds"], lambda v: f"{v['seconds']:.1f} s"
            )
            if sooner:
                yield f"The whole process at {latency} ms: {sooner}."
            lighter = _better(best, _is_lighter, lambda v: f"{v['cpu_ratio']:.2f}")
            if lighter:
                yield f"Processor time of a row, as a multiple of the loop's: {lighter}."


def _is_lighter(found: Any, own: Any) -> bool:
    return bool("cpu_ratio" in found and "cpu_ratio" in own and found["cpu_ratio"] < own["cpu_ratio"])


def _smaller(values: Values) -> Iterator[str]:
    for rows, group in values.items():
        better = _better(
            group, lambda found, own: found["peak_mb"] < own["peak_mb"], lambda v: f"{v['peak_mb']:.0f} MB"
        )
        if better:
            yield f"Peak memory at {grouped(int(rows))} rows: {better}."


def _better_matched(values: Values) -> Iterator[str]:
    for group in values.values():
        asked = _better(group, lambda found, own: _asked(found) < _asked(own), lambda v: str(_asked(v)))
        if asked:
            yield f"Requests beyond the rows' own, by e-mail: {asked}."
        more = _better(group, lambda found, own: found["right"] > own["right"], _right)
        if more:
            yield f"Rows to the right lead, by e-mail: {more}."


def _asked(found: Any) -> int:
    return int(found["lookups"] + found["others"])


def _right(found: Any) -> str:
    return f"{found['right']} of {found['rows']} ({found['wrong']} to a wrong one)"


def _less_read(values: Values) -> Iterator[str]:
    for group in values.values():
        less = _better(group, lambda found, own: found["read"] < own["read"], _read)
        if less:
            yield f"Rows read on the second day, only what is new: {less}."


def _read(found: Any) -> str:
    return f"{found['read']} ({found['twice']} sent again, {found['lost']} lost)"


_COMPARISONS: dict[str, Callable[[Values], Iterator[str]]] = {
    "quota": _more_quota,
    "waste": _less_waste,
    "faults": _fewer_wrong,
    "speed": _faster,
    "memory": _smaller,
    "matching": _better_matched,
    "incremental": _less_read,
}
