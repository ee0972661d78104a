"""
Every error of this provider, drawn as a tree and grouped by what to do next.

::

    LoftyError
    ├── a later try may mend it (Airflow retries the task)
    │   ├── LoftyDeliveryIncomplete     the run stopped before every row had its final outcome
    │   ├── LoftySourceNotReady         no file matches yet, or the database did not answer: nothing was sent
    │   └── LoftyUnreachable            a call that stores nothing got no usable answer
    └── a later try cannot mend it (Airflow fails the task without retry)
        ├── LoftyRowsFailed             rows are invalid, rejected or unknown, or a gate closed
        ├── LoftyConfigurationError     the operator, the connection or the app's permissions must be changed
        ├── LoftyCredentialRefused      the key or token must be replaced
        ├── LoftyRequestRejected        one request was refused (raised by the hook alone)
        └── LoftyAnswerLost             one activity may or may not be stored (raised by the hook alone)

The messages name rows, fields, rules and counts. They never hold a credential or a row's values.
"""

from __future__ import annotations

from airflow_provider_lofty.printable import printable

try:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowTaskTimeout
except ImportError:  # Airflow 3.1 keeps them elsewhere
    from airflow.exceptions import AirflowException, AirflowFailException, AirflowTaskTimeout  # type: ignore[attr-defined, no-redef]

__all__ = [
    "AirflowException",
    "AirflowFailException",
    "AirflowTaskTimeout",
    "LoftyAnswerLost",
    "LoftyConfigurationError",
    "LoftyCredentialRefused",
    "LoftyDeliveryIncomplete",
    "LoftyError",
    "LoftyRequestRejected",
    "LoftyRowsFailed",
    "LoftySourceNotReady",
    "LoftyUnreachable",
]


class LoftyError(Exception):
    """
    The base of every error this provider raises.

    :ivar code: Lofty's own error code, where the error comes from an answer that has one
    """

    code: int | None = None

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))

    @property
    def is_retryable(self) -> bool:
        """Whether a later try may mend it; Airflow then retries the task."""
        return not isinstance(self, AirflowFailException)

    def add_advice(self, advice: str) -> None:
        """Say what to do as well, as a sentence behind the others."""
        self.args = (f"{str(self).rstrip('.')}. {printable(advice)}",)


class LoftyDeliveryIncomplete(LoftyError):
    """
    The run stopped before every row had its final outcome: rows are ``not_attempted``, or in doubt still.

    A retry goes on where it stopped and sends nothing again that was delivered.
    """


class LoftySourceNotReady(LoftyError):
    """The source could not be read yet. Nothing was sent."""


class LoftyUnreachable(LoftyError):
    """A call that stores nothing got no usable answer, so it is safe to make it again."""


class LoftyRowsFailed(LoftyError, AirflowFailException):
    """Rows failed that a retry cannot mend, or a gate closed before the first row was sent."""


class LoftyConfigurationError(LoftyError, AirflowFailException):
    """The operator's arguments, the connection or the app's permissions must be changed."""


class LoftyCredentialRefused(LoftyError, AirflowFailException):
    """Lofty refused the credential, and it could not be renewed."""


class LoftyRequestRejected(LoftyError, AirflowFailException):
    """Lofty, or a check before sending, refused one request. Nothing was stored."""


class LoftyAnswerLost(LoftyError, AirflowFailException):
    """One activity was sent and no trustworthy answer came back: it may be stored. Never send it blindly again."""
