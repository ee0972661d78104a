"""How much is measured: the whole bench, or a quick look at whether it works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """
    Sizes of all measures.

    :param name: "full" or "quick"
    :param requests_per_minute: Lofty's limit, where there is one
    :param window_seconds: how long one of its windows lasts
    :param quota_latencies: seconds that an answer takes
    :param quota_windows: windows that are measured, after two that are not
    :param waste_cases: processes that share one limit, and the window in seconds
    :param waste_windows: how many of these windows the rows of all of them together would just fill
    :param fault_scale: the rows of each fault are so many times the smallest case
    :param speed_rows: latency in seconds → rows
    :param speed_few_rows: so many rows are delivered, too, to see what the others cost
    :param speed_repeats: how often each client runs
    :param memory_rows: sizes of the input
    :param matching_people: people whom rows know by e-mail
    :param incremental_rows: rows of the first day, and new ones of the second
    """

    name: str
    requests_per_minute: float
    window_seconds: float
    quota_latencies: tuple[float, ...]
    quota_windows: int
    waste_cases: tuple[tuple[int, float], ...]
    waste_windows: dict[float, int]
    fault_scale: int
    speed_rows: dict[float, int]
    speed_few_rows: int
    speed_repeats: int
    memory_rows: tuple[int, ...]
    matching_people: int
    incremental_rows: tuple[int, int]

    def requests_in(self, window_seconds: float) -> int:
        """How many requests such a window holds."""
        return int(self.requests_per_minute * window_seconds / 60)


FULL = Plan(
    name="full",
    requests_per_minute=500,
    window_seconds=6,
    quota_latencies=(0.05, 0.3, 1.0),
    quota_windows=10,
    waste_cases=((1, 6), (2, 6), (4, 6), (6, 6), (6, 60)),
    waste_windows={6: 5, 60: 2},
    fault_scale=10,
    speed_rows={0.0: 4000, 0.05: 200},
    speed_few_rows=500,
    speed_repeats=3,
    memory_rows=(10_000, 30_000),
    matching_people=400,
    incremental_rows=(600, 60),
)
QUICK = Plan(
    name="quick",
    requests_per_minute=500,
    window_seconds=6,
    quota_latencies=(0.3,),
    quota_windows=2,
    waste_cases=((3, 6),),
    waste_windows={6: 2},
    fault_scale=2,
    speed_rows={0.0: 400, 0.05: 40},
    speed_few_rows=100,
    speed_repeats=1,
    memory_rows=(500, 1000),
    matching_people=20,
    incremental_rows=(60, 20),
)
PLANS = {plan.name: plan for plan in (FULL, QUICK)}
