"""
Breaks that wait to be mended.

Their causes are kept out of the worlds of seeds, and each has a small world in ``test_known``, which must fail as long as
it stands here. Whoever mends one takes its line out: then its world has to pass, and seeds may draw its cause.
"""

from __future__ import annotations

KNOWN: dict[str, str] = {
    "duplicates fed back": "a duplicate of a rejected row comes back from its report as already delivered",
    "stopped while blind": "a later try without a journal that stops first calls not_attempted what may have been sent",
    "held at a stop": "a row that another run holds, perhaps sent, is called not_attempted when this run stops first",
    "purged": "a part of a journal's rows was deleted, and check_existing='never' sends them again",
    "two contents": "another run delivers other content under the same key, and no remark says so",
    "remark fed back": "the remark that a delivered row's content has changed is lost when its report comes back",
    "store blip": "a journal that fails for a few seconds ends the try",
}
