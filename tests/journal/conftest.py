"""A real PostgreSQL for tests of the journal in a table."""

from __future__ import annotations

from support.warehouse import postgres_uri

__all__ = ["postgres_uri"]
