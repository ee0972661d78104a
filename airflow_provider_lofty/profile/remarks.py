"""What a profile says that a delivery should be told beforehand. It never makes a delivery less careful."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_lofty.profile.changes import matter, words_for
from airflow_provider_lofty.profile.profile import SHOWN, Profile

_UNKNOWN = "a row whose answer is lost stays unknown"


def remarks_on(profile: Profile | None, settle_seconds: float) -> list[str]:
    """
    Say what keeps rows from being settled, in words; nothing where nothing does.

    :param settle_seconds: the connection's
    """
    return [] if profile is None else list(_remarks(profile, settle_seconds))


def _remarks(profile: Profile, settle_seconds: float) -> Iterator[str]:
    altered = [f"{name} {words_for(changes)}" for name in SHOWN if matter(changes := profile.shown(name) or [])]
    if altered:
        yield f"Lofty shows {'; '.join(altered)}: {_UNKNOWN}, as it has to be shown exactly as it was sent"
    if profile.reading is not None and profile.reading.is_error:
        yield f"Lofty does not let activities be read (HTTP {profile.reading.status}): {_UNKNOWN}"
    if profile.ignores_page:
        yield f"Lofty shows one page of a lead's activities only: at leads with more of them, {_UNKNOWN}"
    if profile.first_page:
        yield f"Lofty counts a lead's pages from {profile.first_page}: at leads with more than one, {_UNKNOWN}"
    if profile.settle_seconds is not None and profile.settle_seconds > settle_seconds:
        yield (
            f"Lofty takes long to show what it stored: settle_seconds should be {profile.settle_seconds:g}, and the "
            f"connection sets {settle_seconds:g}"
        )
