"""
Breaks that wait to be mended.

Their causes are kept out of the worlds of seeds, and each has a small world in ``test_known``, which must fail as long as
it stands here. Whoever mends one takes its line out: then its world has to pass, and seeds may draw its cause.
"""

from __future__ import annotations

KNOWN: dict[str, str] = {
    "contradictions": "an answer 200 with an error beside a lead's id, or with an id that is none, is believed",
    "interim answers": "1xx is taken for the answer, and the true one for that to the next request",
    "page shift": "an entry that moves to the next page while a lead is read counts twice",
    "phantom near": "such an entry looks nearly like another row, which could be proved and stays unknown",
    "twins across runs": "an equal row that another run delivers claims the entry of a row in doubt, which goes again",
    "slow lead": "a control of another lead is believed for a lead whose page lags longer",
    "late store": "what is stored later than a settle time after its request ended is sent again",
    "created as text": "an entry that cannot be read is left out, and the page still counts as complete",
    "type altered at one lead": "an activity whose type is shown otherwise is not nearly the same, and goes again",
    "altered without journal": "a later try without a journal does not know its rows in what Lofty shows altered",
    "blind and lagging": "a later try without a journal believes a page that lags longer than a settle time",
    "held at a stop": "a row that another run holds, perhaps sent, is called not_attempted when this run stops first",
    "suspended machine": "an intent stays authorised while the machine sleeps, because its clock does",
    "purged": "a part of a journal's rows was deleted, and check_existing='never' sends them again",
    "two contents": "another run delivers other content under the same key, and no remark says so",
    "same link": "somebody else's activity with the same link, of another day, keeps a row unknown",
    "store blip": "a journal that fails for a few seconds ends the try",
}
