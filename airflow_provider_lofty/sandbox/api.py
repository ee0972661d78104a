"""The API: request in, answer out, no network."""

from __future__ import annotations

import time
from dataclasses import replace
from email.utils import formatdate

from airflow_provider_lofty.sandbox.answers import Answer, Refused, no_such_endpoint, too_many_requests
from airflow_provider_lofty.sandbox.checks import check_content_type
from airflow_provider_lofty.sandbox.crm import Crm, ReceivedRequest
from airflow_provider_lofty.sandbox.operations import operation_for, permission_refused
from airflow_provider_lofty.sandbox.rate import Reading


class Api:
    """
    What stands before the endpoints: rate limit, credential, permission.

    :param crm: What it serves.
    """

    def __init__(self, crm: Crm) -> None:
        self.crm = crm

    def answer(self, request: ReceivedRequest, in_flight: int) -> Answer:
        """
        Answer a request and remember both.

        :param request: The request.
        :param in_flight: How many requests are in flight, with this one.
        """
        with self.crm.lock:
            reading = self.crm.count(request.method)
            try:
                answer = self._answer(request, self._rate_refusal(reading, in_flight))
            except Refused as refusal:
                answer = refusal.answer(self.crm.settings.error_shape)
            self.crm.store.record(replace(request, status=answer.status, note=answer.note))
            return self._completed(answer, reading, _kind_of(request, answer))

    def record_incomplete(self, request: ReceivedRequest) -> None:
        """Remember a request whose sender left before its end; Lofty never saw it."""
        with self.crm.lock:
            self.crm.store.record(replace(request, note="the sender left before the body was complete"))

    def _rate_refusal(self, reading: Reading, in_flight: int) -> Answer | None:
        settings = self.crm.settings
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
        settings = self.crm.settings
        if operation.name in settings.canned_answers:
            return replace(settings.canned_answers[operation.name], note="canned answer")
        if operation.needs_credential:
            self.crm.credentials.check(settings, request.headers.get("authorization", ""))
        if operation.name in settings.permission_denied:
            raise permission_refused(operation.name)
        if operation.method == "GET" and settings.get_needs_content_type:
            check_content_type(request.headers)
        return operation.run(self.crm, request, lead)

    def _completed(self, answer: Answer, reading: Reading, kind: str) -> Answer:
        settings = self.crm.settings
        now = time.time() + settings.clock_offset_seconds
        headers = {"date": formatdate(now, usegmt=True), **answer.headers}
        if settings.rate_headers and kind not in settings.without_rate_headers:
            shown = replace(reading, remaining=0) if answer.refuses_rate else reading
            headers |= shown.headers(settings.rate_reset_reading, now)
        delay_seconds = answer.delay_seconds + settings.latency_seconds
        return replace(answer, headers=headers, delay_seconds=delay_seconds)


def _kind_of(request: ReceivedRequest, answer: Answer) -> str:
    """Say by which name settings call an answer: that of its operation, or what it is instead."""
    if answer.refuses_rate:
        return "rate_refusal"
    found = operation_for(request.method, request.path)
    return "error" if found is None or (answer.status or 0) >= 400 else found[0].name
