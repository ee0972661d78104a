"""
Breaks that wait to be mended.

Their causes are kept out of the worlds of seeds, and each has a small world in ``test_known``, which must fail as long as
it stands here. Whoever mends one takes its line out: then its world has to pass, and seeds may draw its cause.
"""

from __future__ import annotations

KNOWN: dict[str, str] = {}
