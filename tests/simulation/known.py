"""
Breaks that wait to be mended.

Their causes are kept out of the worlds of seeds, and each has a small world in ``test_known``, which must fail as long as
it stands here. Whoever mends one takes its line out: then its world has to pass, and seeds may draw its cause.
"""

from __future__ import annotations

KNOWN: dict[str, str] = {
    "duplicates fed back": "a duplicate of a rejected row comes back from its report as already delivered",
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
    "stopped while blind": "a later try without a journal that stops first calls not_attempted what may have been sent",
    "suspended machine": "an intent stays authorised while the machine sleeps, because its clock does",
    "remark fed back": "the remark that a delivered row's content has changed is lost when its report comes back",
    "same link": "somebody else's activity with the same link, of another day, keeps a row unknown",
}
