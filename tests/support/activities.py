"""A row that becomes an activity, and how tests build one."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_provider_lofty.rows.builder import Activity, InvalidRow
from airflow_provider_lofty.rows.mapping import RowMapping

NOW = datetime(2024, 6, 1, tzinfo=timezone.utc)
CREATED = 1714557600123
ROW: dict[str, Any] = {
    "leadId": 9007199254740993,
    "type": "browse",
    "text": "Looked at 12 Made Up Lane",
    "link": "https://www.example.com/12",
    "picture": "",
    "created": CREATED,
}
BODY = {**ROW, "type": "Browse"}
del BODY["leadId"]


def mapping(**wishes: Any) -> RowMapping:
    return RowMapping(now=NOW, **wishes)


def built(row: dict[str, Any], *, table: bool = True, **wishes: Any) -> Activity:
    return mapping(**wishes).builder(tuple(row), table=table).build(list(row.values()))


def body_of(row: dict[str, Any], **wishes: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(built(row, **wishes).body)
    return body


def refusal(row: dict[str, Any], **wishes: Any) -> InvalidRow:
    with pytest.raises(InvalidRow) as caught:
        built(row, table=False, **wishes)
    return caught.value
