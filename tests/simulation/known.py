"""
Breaks that wait to be mended.

Their causes are kept out of the worlds of seeds, and each has a small world in ``test_known``, which must fail as long as
it stands here. Whoever mends one takes its line out: then its world has to pass, and seeds may draw its cause.
"""

from __future__ import annotations

KNOWN: dict[str, str] = {
    "held at a stop": "a row that another run holds, perhaps sent, is called not_attempted when this run stops first",
    "purged": "a part of a journal's rows was deleted, and check_existing='never' sends them again",
    "two contents": "another run delivers other content under the same key, and no remark says so",
    "store blip": "a journal that fails for a few seconds ends the try",
}
