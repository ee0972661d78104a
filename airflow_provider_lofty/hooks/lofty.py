"""The hook: an Airflow connection, and Lofty's API behind it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_provider_lofty import config
from airflow_provider_lofty.clock import boot_seconds
from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftyRequestRejected
from airflow_provider_lofty.hooks.extras import unknown
from airflow_provider_lofty.hooks.form import field_behaviour, form_widgets
from airflow_provider_lofty.hooks.settings import settings_from
from airflow_provider_lofty.lofty.answers import JsonObject
from airflow_provider_lofty.lofty.client import LoftyClient
from airflow_provider_lofty.lofty.connection_test import as_result, check_connection
from airflow_provider_lofty.lofty.lead_keys import KEY_NAMES, NORMAL, KeyKind
from airflow_provider_lofty.lofty.settings import LoftySettings
from airflow_provider_lofty.rows.builder import InvalidRow
from airflow_provider_lofty.rows.columns import MappingError
from airflow_provider_lofty.rows.mapping import RowMapping
from airflow_provider_lofty.rows.numbers import identifier
from airflow_provider_lofty.rows.values import InvalidValue, plain

if TYPE_CHECKING:
    import requests


class LoftyHook(BaseHook):
    """
    Talks to the Lofty API.

    Connection type ``lofty``: the host is the base URL (default ``https://api.lofty.com``), the password an API key
    or access token; the extra fields are described in the README. Every request has a total deadline, follows no
    redirect and goes over verified TLS; plain http is for loopback only. All but those of ``test_connection`` are
    paced.

    :param lofty_conn_id: the connection; it is read when it is first needed
    :param requests_per_minute: a cap on the pace, on top of the connection's own
    :param sleep: waits for a number of seconds
    :param clock: seconds, which also pass while the machine is suspended
    :param now: seconds since 1970
    :param chance: gives a number from 0 to 1

    :ivar client: Lofty's endpoints without the checks of a hook, for activities that are checked already
    """

    conn_name_attr = "lofty_conn_id"
    default_conn_name = "lofty_default"
    conn_type = "lofty"
    hook_name = "Lofty"

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, object]:
        """The extra fields of the connection form, for Airflow 3.1."""
        return form_widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, object]:
        """How the form shows the fields that every connection has, for Airflow 3.1."""
        return field_behaviour()

    def __init__(
        self,
        lofty_conn_id: str = default_conn_name,
        *,
        requests_per_minute: float | None = None,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = boot_seconds,
        now: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__()
        self.lofty_conn_id = lofty_conn_id
        # Nothing is read here: a hook may be made while a Dag is parsed, where no connection can be asked for.
        self.client = LoftyClient(
            self._read_settings, requests_per_minute=requests_per_minute, mask=mask_secret,
            sleep=sleep, clock=clock, now=now, chance=chance,
        )  # fmt: skip

    def _read_settings(self) -> LoftySettings:
        connection = config.named_connection(self.lofty_conn_id)
        settings = settings_from(connection, config.numbers())
        others = unknown(connection.extra_dejson)
        if others:
            self.log.warning(
                "the connection %r has extra fields that mean nothing here: %s",
                self.lofty_conn_id, ", ".join(map(repr, others)),
            )  # fmt: skip
        return settings

    def get_conn(self) -> requests.Session:
        """The HTTP session, without credentials."""
        return self.client.http

    def close(self) -> None:
        """Close idle connections."""
        self.client.close()

    def add_activity(self, lead_id: int, activity: Mapping[str, object]) -> int:
        """
        Add one activity to a lead. Returning means that Lofty accepted it.

        Nothing is ever sent twice here: a request is retried only where it certainly was not stored.

        :param lead_id: the lead
        :param activity: Lofty's ``LeadActivity``: ``type``, ``text``, ``link``, ``picture``, ``created`` (a
            timestamp, or milliseconds since 1970), and optionally ``listing``, ``scheduledDate``, ``pageName``
        :return: the id of the lead that Lofty answered with
        :raises LoftyRequestRejected: not stored: the activity breaks a rule, or Lofty refused it
        :raises LoftyAnswerLost: it may be stored: no trustworthy answer came
        :raises LoftyUnreachable: not stored: no connection could be made
        :raises LoftyCredentialRefused, LoftyConfigurationError: not stored
        """
        return self.client.add_activity(*_checked(lead_id, activity))

    def list_activities(self, lead_id: int) -> Iterator[JsonObject]:
        """
        Read a lead's activities, newest first by ``created``, a page of 100 for each request, at most 5 000.

        :raises LoftyRequestRejected: the lead does not exist or is not visible
        :raises LoftyUnreachable: no usable answer after several tries
        """
        return self.client.list_activities(lead_id)

    def find_leads(self, email: str | None = None, phone: str | None = None) -> list[JsonObject]:
        """
        Find the leads that have this e-mail address or phone number.

        :param email: an address, compared without regard to case; or
        :param phone: a number, compared by its digits
        :return: Lofty's lead objects (``leadId``, ``emails``, ``phones``, …), none, one or several
        :raises LoftyConfigurationError: unless exactly one of the two is given
        :raises LoftyUnreachable: no usable answer after several tries
        """
        if email is not None and phone is None:
            return self.client.find_leads("email", email)
        if phone is not None and email is None:
            return self.client.find_leads("phone", phone)
        raise LoftyConfigurationError("find_leads needs either an email or a phone")

    def find_lead_ids(
        self, *, emails: Iterable[str] | None = None, phones: Iterable[str] | None = None
    ) -> dict[str, list[int]]:
        """
        Find the leads of many people, one request for each different address or number.

        Addresses compare without regard to case and blanks around them, numbers by their digits, with and without the
        country's 1. A number takes a second request as long as no answer has shown that Lofty finds it either way.
        Sending rows by address or number is what the operator's ``match_by`` is for; it needs fewer requests where
        there are many.

        :param emails: addresses
        :param phones: numbers
        :return: each address and number as it was given → the ids of the leads that have it, in ascending order: none,
            one, or several
        :raises LoftyUnreachable: no usable answer after several tries
        :raises LoftyRequestRejected: Lofty refused a search
        :raises LoftyConfigurationError, LoftyCredentialRefused: looking leads up is not permitted, or Lofty ignores
            what it is asked for
        """
        if isinstance(emails, str) or isinstance(phones, str):
            raise LoftyConfigurationError("emails and phones are lists, not one text")
        return {**self._lead_ids("email", emails or ()), **self._lead_ids("phone", phones or ())}

    def _lead_ids(self, kind: KeyKind, wanted: Iterable[str]) -> dict[str, list[int]]:
        keys = {one: NORMAL[kind](one) for one in wanted}
        found: dict[str, list[int]] = {"": []}  # no lead has what is not an address or a number
        for key in keys.values():
            if key not in found:
                found[key] = self._ids_of(kind, key)
        return {one: list(found[key]) for one, key in keys.items()}

    def _ids_of(self, kind: KeyKind, key: str) -> list[int]:
        ids = self.client.find_lead_ids(kind, key)
        if ids is None:
            raise LoftyConfigurationError(
                f"{self.client.host} answers a search for a lead's {KEY_NAMES[kind]} with other leads: what it finds "
                "proves nothing"
            )
        return ids

    def get_me(self) -> JsonObject:
        """
        Read the profile of the credential's owner (``GET /v1.0/me``).

        :raises LoftyCredentialRefused, LoftyConfigurationError, LoftyUnreachable: as the answer says
        """
        return self.client.get_me()

    def test_connection(self) -> tuple[bool, str]:
        """
        Try the connection, in ten seconds at most. Never raises, and never shows a credential.

        :return: whether it can be used; and who it speaks for, or what is wrong and what to do
        """
        is_usable, message = as_result(lambda: check_connection(self.client))
        # Airflow tests under another id.
        return is_usable, message.removeprefix(f"the connection {self.lofty_conn_id!r}: ")


def _checked(lead_id: int, activity: Mapping[str, object]) -> tuple[int, bytes]:
    """Check one activity as the operator checks a row; give the lead's id and the request's body."""
    given = {str(name): value for name, value in activity.items()}
    try:
        checked_id = identifier(plain(lead_id))
        given = {**given, "leadId": checked_id}
        mapping = RowMapping()
        builder = mapping.builder(tuple(given), table=True)
        checked = builder.build(list(given.values()))
        for unknown in (*builder.ignored, *mapping.nested_ignored):
            raise MappingError(f"Lofty has no field {unknown!r}")
        return checked_id, checked.body
    except InvalidValue as error:
        raise LoftyRequestRejected(f"nothing was sent: leadId {error}") from None
    except (MappingError, InvalidRow) as error:
        raise LoftyRequestRejected(f"nothing was sent: {error}") from None
