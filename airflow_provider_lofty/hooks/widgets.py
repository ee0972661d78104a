"""The connection form as Airflow 3.1 asks the hook for it; later ones read it from the provider's metadata."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from airflow_provider_lofty.connection_form import FORM_FIELDS, FormField, ui_field_behaviour


def form_widgets() -> dict[str, Any]:
    """
    Make a WTForms field of each extra field. Airflow knows four kinds, none of them for fractions.

    Airflow brings WTForms along, or puts something in its place, before it asks; nothing else here needs it.
    """
    return {field.name: _widget(field) for field in FORM_FIELDS}


def _widget(field: FormField) -> Any:
    from wtforms import IntegerField, PasswordField, StringField

    known = _validators()
    kind = IntegerField if field.is_number else PasswordField if field.is_secret else StringField
    validators = [known.Optional(), *([known.any_of(list(field.choices))] if field.choices else ())]
    default = field.default if field.choices else None
    return kind(field.label, validators=validators, description=field.description, default=default)


def _validators() -> Any:
    """
    Give WTForms' validators, or what Airflow puts in their place.

    It does so with ``mock.patch``, which finds a stand-in by its name among the modules; but on Python 3.10, as an
    attribute of the package's stand-in, which is another object.
    """
    package = import_module("wtforms")
    return package.validators if sys.version_info < (3, 11) else import_module("wtforms.validators")


def field_behaviour() -> dict[str, Any]:
    """Describe the fields that every connection has, with the older names of the same keys."""
    return {key.replace("-", "_"): value for key, value in ui_field_behaviour().items()}
