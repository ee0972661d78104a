"""
A practice Lofty in a process of its own, which tells what arrived.

    python -m bench.server '{"requests_per_minute": 500, "window_seconds": 6}'

The argument are settings of the sandbox; ``leads`` beside them is a JSON file with the leads that are there. The first
line printed says where it is. Then each line that is read is a question, answered by one line of JSON: ``count``,
``record``, ``posted``, ``times`` or ``age``. It ends when its input ends.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from airflow_provider_lofty.sandbox import ReceivedRequest, Sandbox, SandboxSettings

LEADS_PATH = "/v1.0/leads"


def count(lofty: Sandbox) -> dict[str, Any]:
    """How many activities are stored."""
    return {"stored": len(lofty.activities)}


def record(lofty: Sandbox) -> dict[str, Any]:
    """
    What arrived: requests by kind, activities stored, how many different ones, and how long it took.

    ``seconds`` lie between the first and the last POST; of the requests only the newest are remembered.
    """
    activities, requests = lofty.activities, lofty.requests
    posts = [request.at for request in requests if request.method == "POST"]
    return {
        "requests": len(requests),
        "posts": len(posts),
        "refused": sum(request.status == 429 for request in requests),
        "stored": len(activities),
        "distinct": len(activities) - sum(activity.duplicate for activity in activities),
        "seconds": posts[-1] - posts[0] if posts else 0.0,
    }


def posted(lofty: Sandbox) -> dict[str, Any]:
    """Which lead got which text, each time; and how many requests looked for leads, or for something else."""
    asked = [request.path for request in lofty.requests if request.method != "POST"]
    lookups = asked.count(LEADS_PATH)
    return {
        "posted": [[activity.body["text"], activity.lead_id] for activity in lofty.activities],
        "lookups": lookups,
        "others": len(asked) - lookups,
    }


def times(lofty: Sandbox) -> dict[str, Any]:
    """When requests came, in seconds after the first: those that stored an activity, those refused for the rate."""
    requests = lofty.requests
    return {"stored": _after_first(requests, _stored), "refused": _after_first(requests, _refused)}


def age(lofty: Sandbox) -> dict[str, Any]:
    """How long ago the first request came; 0 when none has."""
    requests = lofty.requests
    return {"seconds": time.monotonic() - requests[0].at if requests else 0.0}


def _after_first(requests: Sequence[ReceivedRequest], wanted: Callable[[ReceivedRequest], bool]) -> list[float]:
    return [round(request.at - requests[0].at, 4) for request in requests if wanted(request)]


def _stored(request: ReceivedRequest) -> bool:
    return request.method == "POST" and request.status == 200


def _refused(request: ReceivedRequest) -> bool:
    return request.status == 429


QUESTIONS: dict[str, Callable[[Sandbox], dict[str, Any]]] = {
    each.__name__: each for each in (count, record, posted, times, age)
}


def main() -> None:
    """Serve until the input ends."""
    settings = json.loads(sys.argv[1])
    leads = json.loads(Path(settings.pop("leads")).read_text(encoding="utf-8")) if "leads" in settings else {}
    with Sandbox(SandboxSettings(**settings)) as lofty:
        for lead_id, emails in leads.items():
            lofty.add_lead(int(lead_id), emails=emails)
        _say({"url": lofty.url, "key": lofty.settings.api_key})
        for question in sys.stdin:
            _say(QUESTIONS[question.strip()](lofty))


def _say(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
