"""
What Airflow's Test button says of a connection: who it speaks for, or what is wrong and what to do.

It runs in Airflow's API server while somebody waits. So no request waits for its turn or is retried, all of it is over
after ten seconds, and whatever happens is put in words of this module: Airflow would show the text of an exception.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from queue import Empty, Queue

from requests import Request, Response
from requests.auth import AuthBase

from airflow_provider_lofty.exceptions import LoftyError, LoftyUnreachable
from airflow_provider_lofty.lofty import transport
from airflow_provider_lofty.lofty.answers import PERMISSION_MISSING, Answer, Meaning
from airflow_provider_lofty.lofty.credentials import HeaderAuth
from airflow_provider_lofty.lofty.errors import advice_on_refusal, status_text
from airflow_provider_lofty.lofty.pacing import MOST_LIMIT
from airflow_provider_lofty.lofty.redaction import without_echo, without_values
from airflow_provider_lofty.lofty.session import Endpoint, LoftySession
from airflow_provider_lofty.lofty.window import number_in

LONGEST_SECONDS = 10.0
_GRACE_SECONDS = 1.0  # for a request that keeps its deadline to say so itself
_LEAST_SECONDS = 0.1
_LONGEST_NAME = 80

Result = tuple[bool, str]

_NO_ANSWER = {
    transport.NAME_NOT_FOUND: "its name cannot be resolved; check {field}, and the DNS of this machine",
    transport.CERTIFICATE_OF_ANOTHER: "its certificate is for another host name; check {field}",
    transport.CERTIFICATE_NOT_VALID_NOW: "its certificate has expired, or the clock of this machine is wrong",
    transport.PROXY_REFUSED: "the proxy requires a password (407) or does not allow this host",
    "SSLCertVerificationError": (
        "its certificate is not signed by a trusted CA; if a proxy opens TLS on the way, add that proxy's CA to the "
        "file that REQUESTS_CA_BUNDLE names"
    ),
    "SSLError": "the TLS handshake failed: its port may be one for plain http; check {field}",
    "ConnectionRefusedError": "nothing listens there; check host and port in {field}",
}


def _is_rate_refusal(answer: Answer) -> bool:
    return answer.status == 429 or answer.verdict.meaning is Meaning.RATE_LIMITED


def _is_gateways_refusal(answer: Answer) -> bool:
    return answer.status == 407 or (answer.status in (401, 403) and answer.is_html)


# What stands between this machine and Lofty's own answer. The first line that fits decides.
_OBSTACLES: tuple[tuple[Callable[[Answer], bool], str], ...] = (
    (_is_rate_refusal, "its rate limit is used up; try again in a minute"),
    (_is_gateways_refusal, "a proxy or gateway on the way refused this, not Lofty; ask whoever runs it"),
    (
        lambda answer: 300 <= (answer.status or 0) < 400,
        "a redirect, which is not followed so that no other host sees the credential; check {field}",
    ),
    (
        lambda answer: (answer.status or 0) >= 500,
        "Lofty, or a gateway in front of it, had an internal error; try again later",
    ),
    (
        lambda answer: answer.is_html or answer.status in (404, 405),
        "what answers there is not Lofty's API; check {field}",
    ),
)


_REPLACED = (
    "Lofty replaced this refresh token, and Airflow cannot save the new one: if Lofty accepts each only once, the "
    "connection needs a new one now; client_credentials does not have this problem"
)


def as_result(work: Callable[[], Result]) -> Result:
    """Do this; where it raises, say so. Of an error that is not this provider's only the type is shown."""
    try:
        return work()
    except LoftyError as error:
        return False, str(error)
    except Exception as error:
        return False, f"the test itself failed ({type(error).__name__})"


def check_connection(session: LoftySession) -> Result:
    """
    Ask Lofty who the connection speaks for (``GET /v1.0/me``).

    A thread does it, since neither looking a name up nor connecting to a host of several addresses keeps a deadline.

    :return: whether the connection can be used; and what to show
    :raises LoftyConfigurationError: when no request can leave
    """
    settings = session.settings
    session.check_routes()
    limit = min(settings.timeout_seconds, LONGEST_SECONDS)
    test = _ConnectionTest(session, session.clock() + limit)
    outcome: Queue[Result] = Queue()
    threading.Thread(target=lambda: outcome.put(as_result(test.result)), daemon=True).start()
    try:
        return outcome.get(timeout=limit + _GRACE_SECONDS)
    except Empty:
        return False, (
            f"no answer from {settings.base_url} within {limit:g} s; check whether this machine can reach it: "
            "a firewall may be in the way, or its DNS may be down"
        )


class _ConnectionTest:
    """
    One test of one connection.

    :param deadline: by the session's clock; no request lasts longer
    """

    def __init__(self, session: LoftySession, deadline: float) -> None:
        self._session = session
        self._settings = session.settings
        self._deadline = deadline
        self._credential = session.new_credential(self._post_form)
        self._has_token = False

    def result(self) -> Result:
        is_usable, message = self._judge(self._ask_for_profile())
        is_replaced = self._settings.auth_type == "refresh_token" and (
            self._settings.refresh_token not in self._credential.secrets
        )
        return is_usable, f"{message}. {_REPLACED}" if is_replaced else message

    def _ask_for_profile(self) -> Answer:
        header = self._credential.header()
        answer = self._get_me(header)
        is_refused = answer.sent and answer.verdict.meaning is Meaning.CREDENTIAL_REFUSED
        if is_refused and self._credential.renew(header):
            answer = self._get_me(self._credential.header())
        return answer

    def _get_me(self, header: str) -> Answer:
        return self._ask(Request("GET", f"{self._settings.base_url}/v1.0/me", auth=HeaderAuth(header)), Endpoint.ME)

    def _post_form(self, url: str, form: dict[str, str], headers: dict[str, str], auth: AuthBase) -> Response:
        answer = self._ask(Request("POST", url, data=form, headers=headers, auth=auth), Endpoint.TOKEN)
        if obstacle := self._obstacle(answer, url, "token_url"):
            raise LoftyUnreachable(f"no token from {url}: {obstacle}")
        self._has_token = True  # or a refusal, after which nothing more is asked
        return transport.as_response(answer)

    def _ask(self, request: Request, endpoint: Endpoint) -> Answer:
        seconds = max(self._deadline - self._session.clock(), _LEAST_SECONDS)
        return self._session.send_now(request, endpoint, seconds)

    def _judge(self, answer: Answer) -> Result:
        verdict, status = answer.verdict, status_text(answer.status, answer.error[0])
        if obstacle := self._obstacle(answer, self._settings.base_url, "the connection's host"):
            return False, f"{self._settings.base_url}: {obstacle}. {self._credential_status(answer)}"
        if verdict.meaning is Meaning.CREDENTIAL_REFUSED:
            advice = advice_on_refusal(self._settings.auth_type, verdict.code)
            return False, f"Lofty refused the credential ({status}): {advice}"
        if verdict.code == PERMISSION_MISSING:
            return True, f"Lofty accepts the credential; this app may not read whose it is (200100). {_quota(answer)}"
        if answer.status == 200 and not answer.names_error and (owner := self._owner(answer.json)):
            if self._is_of_another(answer.json):
                return False, f"Lofty accepts the credential of {owner}, but the connection's profile is another's"
            return True, f"Lofty accepts the credential of {owner}. {_quota(answer)}"
        words = without_echo(verdict.message, self._secrets) or "no message"
        return False, (
            f"{self._settings.base_url} answered {status} where Lofty would say whose the credential is: "
            f"{words}; check the connection's host"
        )

    def _credential_status(self, answer: Answer) -> str:
        if self._has_token:
            return "The credential is accepted: Lofty gave a token for it"
        return f"Whether the credential is accepted is unknown: it was not {'checked' if answer.sent else 'sent'}"

    def _obstacle(self, answer: Answer, url: str, field: str) -> str:
        """What kept Lofty's own answer away; empty when this is Lofty's answer."""
        if answer.status is None:
            return self._why_no_answer(answer, url).format(field=field)
        words = next((words for fits, words in _OBSTACLES if fits(answer)), "")
        return f"HTTP {answer.status}, {words.format(field=field)}" if words else ""

    def _why_no_answer(self, answer: Answer, url: str) -> str:
        words = _NO_ANSWER.get(answer.failure, f"the connection was lost ({answer.failure})")
        if answer.failure == "TimeoutError":
            what = "no answer" if answer.sent else "no connection, a firewall may be in the way"
            words = f"{what} within {min(self._settings.timeout_seconds, LONGEST_SECONDS):g} s"
        variable = self._session.route_to(url).proxy_variable
        if variable and not answer.sent:
            words += f" (requests from here go through the proxy that {variable} names: check there first)"
        return words

    @property
    def _secrets(self) -> tuple[str, ...]:
        return (*self._settings.secrets, *self._credential.secrets)

    def _is_of_another(self, owner: object) -> bool:
        """Whether the connection's profile was learned from somebody else's account."""
        profile = self._settings.profile
        return profile is not None and isinstance(owner, Mapping) and not profile.is_of(owner.get("id"))

    def _owner(self, profile: object) -> str:
        """Whom a profile describes, without the e-mail address; empty when it is not a profile."""
        if not isinstance(profile, Mapping) or type(profile.get("id")) not in (int, str):
            return ""
        if not (user_id := without_values(_line(profile["id"]), self._secrets)):
            return ""
        names = (without_echo(_line(profile.get(key)), self._secrets) for key in ("firstName", "lastName"))
        role = without_echo(_line(profile.get("roleName")), self._secrets)
        details = ", ".join(filter(None, (role, f"user {user_id}")))
        name = " ".join(filter(None, names))
        return f"{name} ({details})" if name else details


def _line(value: object) -> str:
    """One line that any log and page can show."""
    text = " ".join(str(value).split()) if isinstance(value, (str, int)) else ""
    return "".join(character for character in text if character.isprintable())[:_LONGEST_NAME]


def _quota(answer: Answer) -> str:
    """What Lofty's headers say of the rate limit; its window is a minute (Lofty's page "Rate limits")."""
    limit = number_in(answer.headers.get("x-ratelimit-limit"))
    if limit is None or not 1 <= limit <= MOST_LIMIT:
        return "Its answer states no rate limit"
    left = number_in(answer.headers.get("x-ratelimit-remaining"))
    return f"Rate limit: {limit:.0f} requests a minute" + (
        f", {left:.0f} left in this one" if left is not None and left <= limit else ""
    )
