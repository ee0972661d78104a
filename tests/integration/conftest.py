"""A real PostgreSQL for the tests of the whole."""

from __future__ import annotations

from support.warehouse import postgres_uri

__all__ = ["postgres_uri"]
