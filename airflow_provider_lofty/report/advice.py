"""
What an error means and what to do about it: a registry of Lofty's codes, HTTP statuses and this provider's outcomes.

Sources: Lofty's pages "Errors", "Authentication" and "Rate limits", and what its API was seen to answer.
"""

from __future__ import annotations

from typing import NamedTuple

from airflow_provider_lofty.outcomes import Outcome


class Advice(NamedTuple):
    """
    What people need to know of one kind of error.

    :param meaning: what happened
    :param action: what to do now
    """

    meaning: str
    action: str


_NEW_KEY = "Replace the key or token of the connection, or set its auth_type to what it is."

CODES: dict[int, Advice] = {
    20001: Advice(
        "Lofty did not accept the request as JSON.",
        "A proxy changes requests; let it pass them as they are.",
    ),
    20004: Advice("Lofty refused the credential.", _NEW_KEY),
    20005: Advice("Lofty had an internal error.", "Clear the task later; contact Lofty if it persists."),
    20006: Advice(
        "The lead does not exist, is in the trash, or is not visible to the key's owner.",
        "Look the lead up in Lofty. Correct its id, restore it, or use a key whose owner may see it.",
    ),
    20012: Advice(
        "Lofty found a value invalid and does not say which.",
        "Compare the row with one that was delivered: all that is documented was checked before it was sent.",
    ),
    20017: Advice(
        "The key's owner may not do this to the lead.",
        "Use the key of somebody who may, or let Lofty's administrator allow it.",
    ),
    20042: Advice("A number is outside the range that Lofty accepts.", "Correct the numbers of the listing."),
    20043: Advice("A text is longer than Lofty accepts.", "Shorten the row's texts, text and link first."),
    200057: Advice("The address is missing.", "Give the listing its streetAddress, city and state."),
    200058: Advice("No Lofty user matches this credential: often an API key that was sent as a token.", _NEW_KEY),
    200100: Advice("The app lacks a permission.", "Ask Lofty to grant the app this part of the API."),
}

STATUSES: dict[int, Advice] = {
    401: Advice("The credential is missing or wrong.", _NEW_KEY),
    403: Advice("The credential may not do this.", "Check the permissions of the key's owner and of the app."),
    404: Advice("There is nothing at this address.", "Check the lead's id and the connection's host."),
    407: Advice("A proxy asks for a login.", "Correct the proxy settings of the workers."),
    429: Advice("Too many requests at once.", "Lower requests_per_minute, or find out who else uses the same quota."),
}

OUTCOMES: dict[str, Advice] = {
    Outcome.DUPLICATE: Advice(
        "The same row came earlier in this input, and failed.", "Correct the row that it repeats."
    ),
    Outcome.INVALID: Advice(
        "The row cannot become an activity; nothing was sent for it.",
        "Correct the field at its source, or map another column to it.",
    ),
    Outcome.REJECTED: Advice(
        "Lofty refused the row; it is not stored.", "Correct the row and send it again with the report."
    ),
    Outcome.UNKNOWN: Advice(
        "The row was sent, no trustworthy answer came, and Lofty could not be asked: it may be stored.",
        "Look at the lead's activities. Then clear the task with on_unknown set to resend or assume_delivered.",
    ),
    Outcome.NOT_ATTEMPTED: Advice(
        "The run ended before this row's turn; nothing was sent for it.",
        "See why the run ended; a retry or a clear goes on from there.",
    ),
    Outcome.UNMATCHED: Advice(
        "No lead, or more than one, has the row's e-mail address or phone number; nothing was sent for it.",
        "Add or merge the leads in Lofty, or correct the row; then clear the task or send the report.",
    ),
}


def advice_on(outcome: str, http_status: int | None, error_code: int | None) -> Advice:
    """
    Say what an error means, as closely as it is known: by Lofty's code, else by the HTTP status, else by the outcome.

    :param outcome: one of a row that failed or is unmatched
    """
    if outcome == Outcome.REJECTED and error_code in CODES:
        return CODES[error_code]
    if outcome == Outcome.REJECTED and http_status in STATUSES:
        return STATUSES[http_status]
    return OUTCOMES[outcome]
