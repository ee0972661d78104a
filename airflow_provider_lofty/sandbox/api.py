"""The pretended Lofty: request in, answer out, no network."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from email.utils import formatdate
from typing import Any

from airflow_provider_lofty.sandbox.answers import Answer, Refused, no_such_endpoint, too_many_requests
from airflow_provider_lofty.sandbox.checks import check_content_type
from airflow_provider_lofty.sandbox.credentials import Credentials
from airflow_provider_lofty.sandbox.crm import ReceivedRequest, Store
from airflow_provider_lofty.sandbox.faults import Dice
from airflow_provider_lofty.sandbox.leads import Leads
from airflow_provider_lofty.sandbox.operations import operation_for, permission_refused
from airflow_provider_lofty.sandbox.rate import FixedWindow, Reading
from airflow_provider_lofty.sandbox.settings import SandboxSettings


class Lofty:
    """
    Everything that the sandbox knows. Whoever reads or changes it holds `lock`.

    :param settings: What it does.
    """

    def __init__(self, settings: SandboxSettings) -> None:
        self.lock = threading.RLock()
        self.settings = settings
        self.store = Store(settings.kept_requests)
        self.leads = Leads()
        self.credentials = Credentials()
        self._forget_counts()

    def _forget_counts(self) -> None:
        self.dice = Dice(self.settings.seed)
        self._window, self._read_window = FixedWindow(), FixedWindow()

    def change(self, changes: dict[str, Any]) -> None:
        """Change settings; faults start anew when they or their seed change."""
        with self.lock:
            self.settings = replace(self.settings, **changes)
            self.store.version += 1
            if changes.keys() & {"seed", "faults", "scripted_faults"}:
                self.dice = Dice(self.settings.seed)

    def reset(self) -> None:
        """Forget what arrived and what was counted or issued; settings and leads stay."""
        with self.lock:
            self.store.clear()
            self.credentials.clear()
            self._forget_counts()

    def answer(self, request: ReceivedRequest, in_flight: int) -> Answer:
        """
        Answer a request and remember both.

        :param request: The request.
        :param in_flight: How many requests are in flight, with this one.
        """
        with self.lock:
            reading = self._take(request.method)
            try:
                answer = self._answer(request, self._rate_refusal(reading, in_flight))
            except Refused as refusal:
                answer = refusal.answer(self.settings.error_shape)
            self.store.record(replace(request, status=answer.status, note=answer.note))
            return self._completed(answer, reading)

    def record_incomplete(self, request: ReceivedRequest) -> None:
        """Remember a request whose sender left before its end; Lofty never saw it."""
        with self.lock:
            self.store.record(replace(request, note="the sender left before the body was complete"))

    def _take(self, method: str) -> Reading:
        settings = self.settings
        if method == "GET" and settings.read_requests_per_minute is not None:
            return self._read_window.take(settings.read_requests_per_minute, settings.window_seconds)
        return self._window.take(settings.requests_per_minute, settings.window_seconds)

    def _rate_refusal(self, reading: Reading, in_flight: int) -> Answer | None:
        settings = self.settings
        if reading.refused:
            return too_many_requests(settings.rate_refusal_status, f"more than {reading.limit} in a window")
        if settings.max_concurrent is not None and in_flight > settings.max_concurrent:
            return too_many_requests(settings.rate_refusal_status, f"{in_flight} requests in flight")
        return None

    def _answer(self, request: ReceivedRequest, rate_refusal: Answer | None) -> Answer:
        if rate_refusal:
            return rate_refusal
        found = operation_for(request.method, request.path)
        if found is None:
            return no_such_endpoint(request.method, request.path)
        operation, lead = found
        if operation.name in self.settings.canned_answers:
            return replace(self.settings.canned_answers[operation.name], note="canned answer")
        if operation.needs_credential:
            self.credentials.check(self.settings, request.headers.get("authorization", ""))
        if operation.name in self.settings.permission_denied:
            raise permission_refused(operation.name)
        if operation.method == "GET" and self.settings.get_needs_content_type:
            check_content_type(request.headers)
        return operation.run(self, request, lead)

    def _completed(self, answer: Answer, reading: Reading) -> Answer:
        settings = self.settings
        now = time.time() + settings.clock_offset_seconds
        headers = {"date": formatdate(now, usegmt=True), **answer.headers}
        if settings.rate_headers:
            shown = replace(reading, remaining=0) if answer.refuses_rate else reading
            headers |= shown.headers(settings.rate_reset_reading, now)
        delay_seconds = answer.delay_seconds + settings.latency_seconds
        return replace(answer, headers=headers, delay_seconds=delay_seconds)

    def keep(self, lead_id: int, body: dict[str, Any], delay_seconds: float = 0.0) -> None:
        """
        Store an accepted activity: once, unless the settings say otherwise.

        :param delay_seconds: How long it takes until reading back can show it.
        """
        if self.settings.ignores_repeats and self.store.has(lead_id, body):
            return
        for _ in range(2 if self.settings.stores_twice else 1):
            self.store.add(lead_id, body, time.time() + delay_seconds)

    def visible(self, lead_id: int) -> Iterator[dict[str, Any]]:
        """Give the bodies of a lead's activities that reading back shows by now, last stored first."""
        shown_until = time.time() - self.settings.read_lag_seconds
        for activity in reversed(self.store.by_lead.get(lead_id, [])):
            if activity.received_at <= shown_until:
                yield activity.body
