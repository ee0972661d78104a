"""The connection form as Airflow 3.1 asks the hook for it; later ones read it from the provider's metadata."""

from __future__ import annotations

from typing import Any

from airflow_provider_lofty.hooks.form import FORM_FIELDS, FormField, ui_field_behaviour


def form_widgets() -> dict[str, Any]:
    """
    Make a WTForms field of each extra field. Airflow knows four kinds, none of them for fractions.

    Airflow brings WTForms along, or puts something in its place, before it asks; nothing else here needs it.
    """
    return {field.name: _widget(field) for field in FORM_FIELDS}


def _widget(field: FormField) -> Any:
    from wtforms import IntegerField, PasswordField, StringField
    from wtforms.validators import Optional, any_of

    kind = IntegerField if field.is_number else PasswordField if field.is_secret else StringField
    validators = [Optional(), *([any_of(list(field.choices))] if field.choices else ())]
    default = field.default if field.choices else None
    return kind(field.label, validators=validators, description=field.description, default=default)


def field_behaviour() -> dict[str, Any]:
    """Describe the fields that every connection has, with the older names of the same keys."""
    return {key.replace("-", "_"): value for key, value in ui_field_behaviour().items()}
