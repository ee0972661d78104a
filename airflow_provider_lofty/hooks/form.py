"""
The extra fields of a connection of type ``lofty``, as data, and the form that Airflow makes of them.

Airflow's form cannot show a field for one ``auth_type`` only, so each help text says for which it is needed. There is
no field for ``customer_key``: Airflow's REST API masks extra fields by their names and would show that one, while the
password, which takes its place, is masked.

Airflow 3.2 and later read the form from the provider's metadata; 3.1 asks the hook for widgets.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, NamedTuple

from airflow_provider_lofty.lofty.settings import AUTH_TYPES, DEFAULT_HOST


class FormField(NamedTuple):
    """
    One extra field.

    :param type: ``string``, ``integer`` or ``number``
    :param default: what an empty field means; None when it means nothing
    :param smallest: the lower bound of a number, which it may reach
    :param largest: the upper bound, which it may reach
    :param choices: the values of a drop-down
    :param is_secret: whether it is typed unseen
    """

    name: str
    label: str
    help: str
    type: str = "string"
    default: float | str | None = None
    smallest: float = 0
    largest: float = 0
    choices: tuple[str, ...] = ()
    is_secret: bool = False

    @property
    def is_number(self) -> bool:
        """Whether it is typed as a number, whole or not."""
        return self.type != "string"

    @property
    def description(self) -> str:
        """The help, with the default of a number that is left empty."""
        return f"{self.help} Empty: {self.default:g}." if self.is_number and self.default is not None else self.help


FORM_FIELDS = (
    FormField(
        "auth_type",
        "Authentication",
        "api_key, access_token: enter it as the password. client_credentials: client_id, client_secret, and as the "
        "password the API key of the user to act for. refresh_token: client_id, client_secret, refresh_token.",
        default="api_key",
        choices=AUTH_TYPES,
    ),
    FormField("client_id", "Client id", "For client_credentials and refresh_token: of the registered app."),
    FormField(
        "client_secret",
        "Client secret",
        "For client_credentials and refresh_token: of the registered app.",
        is_secret=True,
    ),
    FormField(
        "refresh_token",
        "Refresh token",
        "For refresh_token only. When Lofty replaces it, the new one is not saved here.",
        is_secret=True,
    ),
    FormField(
        "token_url",
        "Token URL",
        "For client_credentials and refresh_token: the token endpoint, if it is not Lofty's usual one.",
    ),
    FormField(
        "requests_per_minute",
        "Requests per minute",
        "A cap for each task that uses this connection. Empty: no cap; the pace follows the limit that Lofty states.",
        "number",
        None,
        0.01,
        10**6,
    ),
    FormField("max_in_flight", "Requests at once", "The most in flight at a time.", "integer", 16, 1, 64),
    FormField("timeout_seconds", "Timeout, seconds", "For one whole request.", "number", 30, 0.1, 600),
    FormField(
        "settle_seconds",
        "Settle time, seconds",
        "How long Lofty may take to show what it stored; longer than the timeout.",
        "number",
        60,
        0,
        86_400,
    ),
    FormField(
        "lead_url",
        "Lead's page",
        "The address of a lead's page in Lofty, with {lead_id} where its id stands: the tab of a task links to it.",
    ),
)


def conn_fields() -> dict[str, dict[str, object]]:
    """Describe the extra fields as provider metadata does (``conn-fields``, Airflow 3.2 and later)."""
    return {
        field.name: {"label": field.label, "description": field.description, "schema": _schema(field)}
        for field in FORM_FIELDS
    }


def _schema(field: FormField) -> dict[str, object]:
    schema: dict[str, object] = {"type": [field.type, "null"]}
    if field.is_number:  # no default here: the form would write it into the connection
        schema.update(minimum=field.smallest, maximum=field.largest)
    if field.choices:
        schema.update(enum=list(field.choices), default=field.default)
    if field.is_secret:
        schema["format"] = "password"
    return schema


def ui_field_behaviour() -> dict[str, object]:
    """Describe the fields that every connection has, as provider metadata does (``ui-field-behaviour``)."""
    return {
        "hidden-fields": ["schema", "login"],
        "relabeling": {"host": "Base URL", "password": "API key or access token"},
        "placeholders": {
            "host": DEFAULT_HOST,
            "password": "Lofty: Settings > Integrations > API",
            # For no port the form sends 0, and the API then sees another server than the one that was saved.
            "port": "443; the Test button of Airflow 3.3 needs it",
        },
    }


def form_widgets() -> dict[str, object]:
    """
    Make a WTForms field of each extra field, as Airflow 3.1 asks for them.

    Airflow shows four kinds of them, none for fractions. It comes with WTForms or puts a stand-in among the modules
    before it asks; nothing else here needs it, so it is imported only then.
    """
    return {field.name: _widget(field) for field in FORM_FIELDS}


def _widget(field: FormField) -> object:
    from wtforms import IntegerField, PasswordField, StringField

    known = _validators()
    kind = IntegerField if field.is_number else PasswordField if field.is_secret else StringField
    validators = [known.Optional(), *([known.any_of(list(field.choices))] if field.choices else ())]
    default = field.default if field.choices else None
    return kind(field.label, validators=validators, description=field.description, default=default)


def _validators() -> Any:
    """
    Return WTForms' validators, or what Airflow puts in their place.

    It does so with ``mock.patch``, which finds a stand-in by its name among the modules; but on Python 3.10, as an
    attribute of the package's stand-in, which is another object.
    """
    package = import_module("wtforms")
    return package.validators if sys.version_info < (3, 11) else import_module("wtforms.validators")


def field_behaviour() -> dict[str, object]:
    """Describe the fields that every connection has as Airflow 3.1 asks for it: the same keys, with underscores."""
    return {key.replace("-", "_"): value for key, value in ui_field_behaviour().items()}
