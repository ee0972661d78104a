"""The page for people, and the JSON that tests in other processes read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Set
from datetime import datetime, timedelta, timezone
from itertools import islice
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from airflow_provider_lofty.sandbox.answers import to_json
from airflow_provider_lofty.sandbox.checks import Body
from airflow_provider_lofty.sandbox.crm import Crm, ReceivedRequest, StoredActivity

LEADS_PER_PAGE = 20
ACTIVITIES_PER_LEAD = 5
ACTIVITIES_OF_ONE_LEAD = 200
LATEST_REQUESTS = 40

_PAGE = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
_HEADERS = {
    "cache-control": "no-store",
    # What a sender wrote is shown here: nothing on the page may load or run anything from elsewhere.
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def people_app(crm: Crm) -> Starlette:
    """
    Make the application behind `/` and `/sandbox/...`: no credential, no rate limit, not recorded.

    :param crm: What is shown.
    """

    # All of them are coroutines: Starlette would run plain functions in threads that outlive the sandbox.
    async def page(request: Request) -> Response:
        return HTMLResponse(_PAGE, headers=_HEADERS)

    async def state(request: Request) -> Response:
        with crm.lock:
            if request.query_params.get("seen") == str(crm.store.version):
                return Response(status_code=204, headers=_HEADERS)
            shown = show(crm, **_view(request))
        return JSONResponse(shown, headers=_HEADERS)

    async def activities(request: Request) -> Response:
        with crm.lock:
            stored = list(crm.store.activities)
        return Response(to_json([_as_json(activity) for activity in stored]), media_type="application/json")

    async def reset(request: Request) -> Response:
        crm.reset()
        return JSONResponse({"reset": True})

    return Starlette(
        routes=[
            Route("/", page),
            Route("/sandbox/state", state),
            Route("/sandbox/activities", activities),
            Route("/sandbox/reset", reset, methods=["POST"]),
        ]
    )


def _view(request: Request) -> dict[str, int | None]:
    page, lead = request.query_params.get("page", ""), request.query_params.get("lead", "")
    return {
        "page": int(page) if re.fullmatch("[0-9]{1,9}", page) else 0,
        # No lead has the id 0: a filter that is no number finds nothing.
        "lead_id": (int(lead) if re.fullmatch("[0-9]{1,19}", lead) else 0) if lead else None,
    }


def show(crm: Crm, page: int | None = 0, lead_id: int | None = None) -> dict[str, object]:
    """
    Give what the page shows. Numbers that JavaScript would round are text.

    :param crm: What is shown; its lock is held.
    :param page: Which page of leads, from 0.
    :param lead_id: Show this lead only, and more of it.
    """
    store = crm.store
    if lead_id is None:
        first = (page or 0) * LEADS_PER_PAGE
        shown_leads = list(islice(reversed(store.by_lead), first, first + LEADS_PER_PAGE))
        depth = ACTIVITIES_PER_LEAD
    else:
        shown_leads = [lead_id] if lead_id in store.by_lead else []
        depth = ACTIVITIES_OF_ONE_LEAD
    return {
        "version": str(store.version),
        "requests": sum(store.statuses.values()),
        "activities": len(store.activities),
        "leads": len(store.by_lead),
        "duplicates": store.duplicates,
        "statuses": {str(status or "dropped"): count for status, count in store.statuses.items()},
        "settings": {name: _setting(value) for name, value in crm.settings.changes().items()},
        "leads_per_page": LEADS_PER_PAGE,
        "groups": [_group(lead, store.by_lead[lead], depth) for lead in shown_leads],
        "latest": [_line(request) for request in islice(reversed(store.requests), LATEST_REQUESTS)],
    }


def _group(lead_id: int, activities: list[StoredActivity], depth: int) -> dict[str, object]:
    total = len(activities)
    newest = [_card(activities[at], at) for at in range(total - 1, max(total - depth, 0) - 1, -1)]
    return {"lead_id": str(lead_id), "total": total, "activities": newest}


def _card(activity: StoredActivity, at: int) -> dict[str, object]:
    body = activity.body
    return {
        "key": f"{activity.lead_id}/{at}",
        "type": body["type"],
        "text": body["text"],
        "link": body["link"],
        "listing": _listing_line(body.get("listing", {})),
        "created": _utc(body["created"]),
        "duplicate": activity.duplicate,
        "body": json.dumps(body, indent=2, ensure_ascii=False),
    }


def _listing_line(listing: Body) -> str:
    address = _joined(listing.get(name) for name in ("streetAddress", "city", "state"))
    price = f"{listing['price']:,}" if "price" in listing else ""
    return " · ".join(filter(None, (address, price)))


def _joined(parts: Iterable[str | None]) -> str:
    return ", ".join(part for part in parts if part)


def _utc(milliseconds: int) -> str:
    try:
        return f"{_EPOCH + timedelta(milliseconds=milliseconds):%Y-%m-%d %H:%M:%S.%f}"[:-3]
    except OverflowError:
        return str(milliseconds)


def _line(request: ReceivedRequest) -> dict[str, object]:
    return {
        "method": request.method,
        "path": request.path,
        "status": request.status,
        "note": request.note,
    }


def _setting(value: object) -> str:
    if isinstance(value, Mapping):
        # A canned answer is worth its name only.
        return ", ".join(f"{name} {each}" if isinstance(each, int | float) else name for name, each in value.items())
    if isinstance(value, Set):
        return ", ".join(sorted(map(str, value))) if len(value) <= 5 else f"{len(value)} of them"
    if isinstance(value, list | tuple):
        return f"{len(value)} of them"
    return str(value)


def _as_json(activity: StoredActivity) -> dict[str, object]:
    return {
        "lead_id": activity.lead_id,
        "body": activity.body,
        "received_at": activity.received_at,
        "duplicate": activity.duplicate,
    }
