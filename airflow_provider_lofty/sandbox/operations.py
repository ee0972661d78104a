"""What each endpoint does."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from html import escape
from urllib.parse import parse_qsl

from pydantic_core import from_json

from airflow_provider_lofty.profile.changes import changed
from airflow_provider_lofty.profile.profile import ListOrder
from airflow_provider_lofty.sandbox.answers import Answer, Refused, invalid, lead_not_found, ok
from airflow_provider_lofty.sandbox.checks import (
    INT32,
    LISTING_NUMBERS,
    WRITE_ONLY,
    Body,
    check_content_type,
    read_activity,
    read_int,
)
from airflow_provider_lofty.sandbox.crm import Crm, ReceivedRequest
from airflow_provider_lofty.sandbox.faults import FAULTS
from airflow_provider_lofty.sandbox.leads import Lead
from airflow_provider_lofty.sandbox.settings import CreatedForm, OperationName, SandboxSettings

DEFAULT_LEADS_LIMIT = 10


@dataclass(frozen=True, slots=True)
class Operation:
    """
    One endpoint.

    :param name: How settings call it.
    :param method: Its HTTP method.
    :param path: A pattern; what its group matches is the lead id.
    :param run: Answers a request; given the request and the lead id as text.
    :param needs_credential: Whether it wants an Authorization header that Lofty issued.
    """

    name: OperationName
    method: str
    path: re.Pattern[str]
    run: Callable[[Crm, ReceivedRequest, str], Answer]
    needs_credential: bool = True


def add_activity(crm: Crm, request: ReceivedRequest, lead: str) -> Answer:
    """Store an activity, unless a fault comes between."""
    settings = crm.settings
    check_content_type(request.headers)
    lead_id = _existing_lead(crm, lead).lead_id
    body = read_activity(
        request.body,
        accepts_empty_strings=settings.accepts_empty_strings,
        max_text_length=settings.max_text_length,
        never_empty=settings.never_empty,
        refusals=settings.refusals,
    )
    if "repeat_refusal" in settings.refusals and crm.store.has(lead_id, body):
        raise invalid("it was accepted before").in_form(settings.refusals["repeat_refusal"])
    due = ok({"leadId": lead_id})
    name = crm.dice.draw(settings.scripted_faults, settings.faults)
    if name is None:
        crm.keep(lead_id, body)
        return due
    fault = FAULTS[name]
    if fault.stores:
        crm.keep(lead_id, body, fault.seconds_late(settings))
    return replace(fault.answer(due, settings), note=f"fault {name}: {fault.description}")


def list_activities(crm: Crm, request: ReceivedRequest, lead: str) -> Answer:
    """List a lead's activities, a page of them."""
    settings = crm.settings
    lead_id = _existing_lead(crm, lead).lead_id
    if settings.read_back_status is not None:
        raise _unreadable(settings.read_back_status, lead_id)
    if "reading" in settings.refusals:
        raise permission_refused("list_activities").in_form(settings.refusals["reading"])
    page = read_int("curPage", request.query.get("curPage") or "0", least=0, most=INT32)
    listed = _LIST_ORDERS[settings.list_order](list(crm.visible(lead_id)))
    start = 0 if settings.ignores_page else max(page - settings.first_page, 0) * settings.page_size
    shown = listed[start : start + settings.page_size]
    if len(shown) == settings.page_size:
        crm.welcome(lead_id, max(body["created"] for body in listed) + 1)
    return ok([_read_back(body, settings) for body in shown])


def find_leads(crm: Crm, request: ReceivedRequest, lead: str) -> Answer:
    """List leads, or find them by e-mail or phone; other parameters are ignored, so a misspelt one finds everybody."""
    settings = crm.settings
    query = {name: value for name, value in request.query.items() if name not in settings.ignored_lead_parameters}
    limit = _leads_limit(query.get("limit") or str(DEFAULT_LEADS_LIMIT))
    offset = read_int("offset", query.get("offset") or "0", least=0)
    if query.get("scrollId"):
        offset = crm.scrolled_to(query["scrollId"])
    found = [
        each
        for each in crm.leads.listed(settings.merged_leads)
        if each.lead_id not in settings.missing_leads
        and each.matches(query, needs_country_code=settings.phone_needs_country_code)
    ]
    end = offset + limit
    scroll_id = crm.scroll(end, query.get("scrollId", "")) if end < len(found) else ""
    metadata = {"collection": "leads", "limit": limit, "offset": offset, "total": len(found), "scrollId": scroll_id}
    shown = [each.as_lofty() for each in found[offset:end] if each.lead_id not in settings.hidden_leads]
    if scroll_id:
        crm.welcome_lead()
    return ok({"_metadata": metadata, "leads": shown})


def get_lead(crm: Crm, request: ReceivedRequest, lead: str) -> Answer:
    """Give one lead."""
    return ok({"lead": _existing_lead(crm, lead).as_lofty()})


def get_me(crm: Crm, request: ReceivedRequest, lead: str) -> Answer:
    """Give the profile of the caller."""
    if "owner" in crm.settings.refusals:
        raise permission_refused("get_me").in_form(crm.settings.refusals["owner"])
    account_id = crm.settings.account_id
    return ok(
        {
            **({} if account_id is None else {"id": account_id}),
            "teamId": 12,
            "memberUserId": 13,
            "email": "agent@example.com",
            "firstName": "Practice",
            "lastName": "Agent",
            "roleName": "Agent",
            "timeZoneId": "America/Phoenix",
        }
    )


def oauth_token(crm: Crm, request: ReceivedRequest, lead: str) -> Answer:
    """Issue a token for the client's credentials in the body."""
    return crm.credentials.answer_token(crm.settings, _form(request))


def user_oauth_token(crm: Crm, request: ReceivedRequest, lead: str) -> Answer:
    """Issue a token for a code or a refresh token, with the client's credentials as HTTP Basic."""
    authorization = request.headers.get("authorization", "")
    return crm.credentials.answer_user_token(crm.settings, _form(request), authorization)


def _existing_lead(crm: Crm, text: str) -> Lead:
    settings = crm.settings
    asked = read_int("leadId", text)
    lead_id = settings.merged_leads.get(asked, asked)
    lead = crm.leads.get(lead_id, any_exists=settings.known_leads == "any")
    if lead is None or {asked, lead_id} & {*settings.missing_leads, *settings.hidden_leads}:
        raise lead_not_found(asked).in_form(settings.refusals.get("missing_lead"))
    return lead


def _leads_limit(text: str) -> int:
    try:
        return read_int("limit", text, least=1, most=100)
    except Refused as refusal:
        raise Refused(400, 20042, "LIMIT_NOT_VALID", refusal.note) from None


def _unreadable(status: int, lead_id: int) -> Refused:
    if status == 403:
        return permission_refused("list_activities")
    if status == 404:
        return lead_not_found(lead_id)
    if status == 401:
        return Refused(401, None, "BAD_CREDENTIALS")
    return Refused(status, 20005 if status >= 500 else 20012, "reading back is switched off")


def permission_refused(name: str) -> Refused:
    """Refuse an operation outside the app's granted scope, in the words of Lofty's scope page."""
    message = "Sorry, the vendor does not have permission for this API."
    return Refused(403, 200100, message, f"{name} is denied")


def _read_back(body: Body, settings: SandboxSettings) -> Body:
    shown: Body = {name: _shown(value, settings) for name, value in body.items() if name != "listing"}
    if settings.truncates_created_to_seconds:
        shown["created"] = body["created"] // 1000 * 1000
    shown["created"] = _CREATED_FORMS[settings.created_form](shown["created"])
    if settings.lowers_type:
        shown["type"] = body["type"].lower()
    if settings.escapes_text:
        shown |= {name: escape(shown[name]) for name in ("text", "link")}
    for field, changes in settings.shown.items():
        shown[field] = changed(shown[field], changes)
    if "listing" in body:
        unset = dict.fromkeys(LISTING_NUMBERS, -1) if settings.unset_numbers_read_minus_one else {}
        sent = {name: value for name, value in body["listing"].items() if name not in WRITE_ONLY}
        shown["listing"] = unset | {name: _shown(value, settings) for name, value in sent.items()}
    return shown


def _newest_created_first(bodies: list[Body]) -> list[Body]:
    return sorted(bodies, key=lambda body: -body["created"])


_LIST_ORDERS: Mapping[ListOrder, Callable[[list[Body]], list[Body]]] = {  # each gets what was posted last first
    "newest_created": _newest_created_first,
    "oldest_created": lambda bodies: _newest_created_first(bodies)[::-1],
    "newest_posted": list,
    "oldest_posted": lambda bodies: bodies[::-1],
    "mixed": lambda bodies: _newest_created_first(bodies)[1:] + _newest_created_first(bodies)[:1],
}

_CREATED_FORMS: Mapping[CreatedForm, Callable[[int], int | str]] = {
    "milliseconds": int,
    "text": str,
    "seconds": lambda created: created // 1000,
    "an_hour_later": lambda created: created + 3_600_000,
}


def _shown(value: object, settings: SandboxSettings) -> object:
    return value.strip() if settings.trims_text and isinstance(value, str) else value


def _form(request: ReceivedRequest) -> dict[str, str]:
    # Form encoding is what the OAuth page documents; a client that is known to work posts JSON.
    if "json" not in request.headers.get("content-type", ""):
        return dict(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True))
    try:
        sent = from_json(request.body)
    except ValueError:
        return {}
    return {name: str(value) for name, value in sent.items()} if isinstance(sent, dict) else {}


_LEAD = r"/v1\.0/leads/([^/]+)"

OPERATIONS = (
    Operation("add_activity", "POST", re.compile(_LEAD + "/activity"), add_activity),
    Operation("list_activities", "GET", re.compile(_LEAD + "/activities"), list_activities),
    Operation("get_lead", "GET", re.compile(_LEAD), get_lead),
    Operation("find_leads", "GET", re.compile(r"/v1\.0/leads"), find_leads),
    Operation("get_me", "GET", re.compile(r"/v1\.0/me"), get_me),
    Operation("oauth_token", "POST", re.compile("/oauth/token"), oauth_token, needs_credential=False),
    Operation(
        "user_oauth_token",
        "POST",
        re.compile("/api/user-web/oauth/token"),
        user_oauth_token,
        needs_credential=False,
    ),
)


def operation_for(method: str, path: str) -> tuple[Operation, str] | None:
    """Give the operation of a request and its lead id as text, or None where there is none."""
    for operation in OPERATIONS:
        match = operation.path.fullmatch(path)
        if match and operation.method == method:
            return operation, match[1] if match.lastindex else ""
    return None
