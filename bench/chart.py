"""The results as bars, in SVG that reads well on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from bench.findings import grouped, percent, wrong

WIDTH = 920
LEFT, RIGHT = 16, 16
HEAD, PLOT, FOOT = 62, 130, 38  # heights of a panel's title and legend, bars and labels
PANEL = HEAD + PLOT + FOOT
GAP_BETWEEN_GROUPS = 26
WIDEST_BAR = 34
OWN = "c0"

STYLE = """
  text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328; }
  .page { fill: #ffffff; }
  .title { font-size: 15px; font-weight: 600; }
  .note, .value { fill: #59636e; }
  .value { font-size: 10.5px; text-anchor: middle; }
  .group { text-anchor: middle; }
  .axis { stroke: #afb8c1; }
  .own { font-weight: 600; fill: #1f2328; }
  .c0 { fill: #0a7d6c; } .c1 { fill: #8c959f; } .c2 { fill: #5a9bd5; } .c3 { fill: #2f6cb3; }
  .c4 { fill: #d98032; } .c5 { fill: #8e6bbf; } .c6 { fill: #b9a3dc; } .c7 { fill: #b5483f; } .c8 { fill: #c2a02b; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; }
    text { fill: #e6edf3; }
    .note, .value { fill: #9198a1; }
    .own { fill: #e6edf3; }
    .axis { stroke: #59636e; }
    .c0 { fill: #2dd4bf; } .c1 { fill: #7d8590; } .c2 { fill: #79b8ff; } .c3 { fill: #3f83d6; }
    .c4 { fill: #e8995a; } .c5 { fill: #a98bd8; } .c6 { fill: #6f5a97; } .c7 { fill: #e5736a; } .c8 { fill: #d9b94a; }
  }
"""
COLOURS = {  # client → class, and how the legend calls it
    "this provider": ("c0", "this provider"),
    "this provider (16 in flight)": ("c0", "this provider"),
    "requests loop": ("c1", "requests loop"),
    "requests loop with Retry": ("c1", "requests loop with Retry"),
    "requests in 8 threads": ("c2", "8 threads"),
    "requests in 16 threads": ("c3", "16 threads"),
    "singer-sdk": ("c4", "singer-sdk"),
    "dlt": ("c5", "dlt"),
    "dlt with 8 workers": ("c6", "dlt, 8 workers"),
    "drt-core": ("c7", "drt-core"),
    "HttpOperator.expand": ("c8", "HttpOperator.expand"),
}
FAULTS = {
    "dropped": "connection drops",
    "killed, disk kept": "kill -9, disk kept",
    "killed, disk gone": "kill -9, disk gone",
    "bad": "bad rows",
    "refused in 200": "refused in a 200",
}


@dataclass(frozen=True)
class Panel:
    """
    Groups of bars.

    :param title: what is shown
    :param note: how to read it
    :param groups: label of a group → client → value; None was not run
    :param show: writes a value
    :param has_own_scales: each group has a scale of its own
    """

    title: str
    note: str
    groups: Mapping[str, Mapping[str, float | None]]
    show: Callable[[float], str]
    has_own_scales: bool = False

    @property
    def clients(self) -> list[str]:
        """Those with a colour, in the order of the colours."""
        present = {client for group in self.groups.values() for client in group}
        return [client for client in COLOURS if client in present]


def draw(measures: Mapping[str, Any]) -> str:
    """Draw all that was measured."""
    panels = [make(measures[name]["values"]) for name, make in _PANELS.items() if name in measures]
    height = PANEL * len(panels) + 8
    body = "".join(
        f'<g transform="translate(0 {PANEL * at})">\n{"".join(_drawn(panel))}</g>\n' for at, panel in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="Results of the benchmark; RESULTS.md has the same numbers as tables">\n'
        f'<style>{STYLE}</style>\n<rect class="page" width="{WIDTH}" height="{height}" rx="6"/>\n{body}</svg>\n'
    )


def _drawn(panel: Panel) -> Iterator[str]:
    yield f'<text class="title" x="{LEFT}" y="22">{escape(panel.title)}'
    yield f'<tspan class="note" font-size="12" font-weight="400" dx="10">{escape(panel.note)}</tspan></text>\n'
    yield from _legend(panel.clients)
    base = HEAD + PLOT
    yield f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base + 0.5}" y2="{base + 0.5}"/>\n'
    highest = {label: max((value or 0 for value in group.values()), default=0) for label, group in panel.groups.items()}
    width = (WIDTH - LEFT - RIGHT) / len(panel.groups)
    for at, (label, group) in enumerate(panel.groups.items()):
        x = LEFT + width * at
        yield f'<text class="group" x="{x + width / 2:.1f}" y="{base + 19}">{escape(label)}</text>\n'
        most = highest[label] if panel.has_own_scales else max(highest.values())
        scale = (PLOT - 16) / (most or 1)
        yield from _bars(panel, group, x + GAP_BETWEEN_GROUPS / 2, width - GAP_BETWEEN_GROUPS, scale)


def _legend(clients: list[str]) -> Iterator[str]:
    x = float(LEFT)
    for client in clients:
        colour, name = COLOURS[client]
        style = ' class="own"' if colour == OWN else ""
        yield f'<rect class="{colour}" x="{x:.0f}" y="35" width="10" height="10" rx="2"/>'
        yield f'<text{style} x="{x + 15:.0f}" y="44">{escape(name)}</text>\n'
        x += 31 + 5.9 * len(name)


def _bars(panel: Panel, group: Mapping[str, float | None], x: float, room: float, scale: float) -> Iterator[str]:
    step = min(room / len(panel.clients), WIDEST_BAR + 8)
    start = x + (room - step * len(panel.clients)) / 2
    base = HEAD + PLOT
    for at, client in enumerate(panel.clients):
        colour, _ = COLOURS[client]
        value = group.get(client)
        height = 0.0 if value is None else value * scale
        middle = start + step * (at + 0.5)
        width = min(step - 3, WIDEST_BAR)
        text = "–" if value is None else panel.show(value)
        yield (
            f'<rect class="{colour}" x="{middle - width / 2:.1f}" y="{base - height:.1f}" '
            f'width="{width:.1f}" height="{height:.1f}"/>'
        )
        style = "value own" if colour == OWN else "value"
        yield f'<text class="{style}" x="{middle:.1f}" y="{base - height - 4:.1f}">{escape(text)}</text>\n'


def _short(share: float) -> str:
    return percent(share).replace(" %", "").replace("< 0.1", "<0.1")


def _multiple(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio >= 10 else f"{ratio:.2f}"


def _picked(values: Mapping[str, Any], pick: Callable[[Mapping[str, Any]], float]) -> dict[str, dict[str, Any]]:
    return {
        label: {client: None if "not_run" in found else pick(found) for client, found in group.items()}
        for label, group in values.items()
    }


def _quota(values: Mapping[str, Any]) -> Panel:
    groups = {f"{latency} ms latency": group for latency, group in _picked(values, lambda v: v["used"]).items()}
    return Panel("Share of the quota that is used", "%, more is better", groups, _short)


def _waste(values: Mapping[str, Any]) -> Panel:
    groups = {
        case.replace(" ×", f" process{'' if case.startswith('1 ') else 'es'},"): group
        for case, group in _picked(values, lambda v: v["refused"]).items()
    }
    return Panel("Requests refused when processes share one limit", "%, less is better", groups, _short)


def _faults(values: Mapping[str, Any]) -> Panel:
    picked = _picked(values, lambda v: wrong(v) / v["rows"])
    groups = {FAULTS[name]: group for name, group in picked.items()}
    return Panel("Rows delivered twice or lost silently", "% of rows, less is better", groups, _short)


def _speed(values: Mapping[str, Any]) -> Panel:
    groups = {f"{latency} ms latency": group for latency, group in _picked(values, lambda v: v["ratio"]).items()}
    note = "multiple of a bare loop's, more is better; each group has its own scale"
    return Panel("Rows a second without a limit", note, groups, _multiple, has_own_scales=True)


def _memory(values: Mapping[str, Any]) -> Panel:
    groups = {f"{grouped(int(rows))} rows": group for rows, group in _picked(values, lambda v: v["peak_mb"]).items()}
    return Panel("Peak memory", "MB, less is better", groups, lambda value: f"{value:.0f}")


_PANELS: dict[str, Callable[[Mapping[str, Any]], Panel]] = {
    "quota": _quota,
    "waste": _waste,
    "faults": _faults,
    "speed": _speed,
    "memory": _memory,
}
