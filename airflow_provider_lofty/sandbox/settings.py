"""What a sandbox does, and how it plays what nobody outside Lofty knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from airflow_provider_lofty.profile.profile import (
    AnswerField,
    AnswerForm,
    AnswerKind,
    ErrorShape,
    ListOrder,
    ResetReading,
)
from airflow_provider_lofty.sandbox.answers import Answer

OperationName = Literal[
    "add_activity", "list_activities", "find_leads", "get_lead", "get_me", "oauth_token", "user_oauth_token"
]
FaultName = Literal[
    "refused", "rate_limited", "error_before_storing", "error_after_storing", "drop_before_storing",
    "drop_after_storing", "slow", "stall", "html_502", "html_502_after_storing", "empty_200", "error_in_200",
    "error_beside_lead_id", "lead_id_zero", "interim_102", "interim_103", "answered_twice", "late_504", "late_drop",
]  # fmt: skip
LeadParameter = Literal["email", "phone", "preciseSearchFlag", "scrollId", "offset", "limit"]
ShownField = Literal["type", "created", "text", "link"]
RequiredString = Literal["text", "link", "picture"]
CreatedForm = Literal["milliseconds", "text", "seconds", "an_hour_later"]


@dataclass(frozen=True)
class SandboxSettings:
    """
    Everything about a sandbox that can be chosen, also while it runs (:meth:`Sandbox.change`).

    "Unknown" marks what neither Lofty's pages nor its OpenAPI specification settle.

    :param api_key: The accepted API key ("Authorization: token ...").
    :param access_token: An accepted access token that never expires ("Authorization: Bearer ...").
    :param client_id: The OAuth client's id.
    :param client_secret: The OAuth client's secret.
    :param customer_key: The key of the user for whom client_credentials asks.
    :param authorization_code: The accepted authorization code.
    :param refresh_token: The first accepted refresh token.
    :param token_lifetime_seconds: How long an issued access token is accepted (the usual value is unknown).
    :param rotates_refresh_token: A refresh brings a new refresh token and spends the old one (unknown).
    :param permission_denied: Operations answered with 403 and code 200100, by name.
    :param requests_per_minute: The rate limit (500 for an OAuth app in production; unknown for API keys).
    :param window_seconds: How long a rate window lasts; the limit is scaled to it (Lofty: 60).
    :param read_requests_per_minute: A limit of their own for GET requests (default: they share the other).
    :param rate_headers: Send the X-RateLimit headers.
    :param without_rate_headers: Kinds of answers that do without them: operations, "error", "rate_refusal".
    :param rate_reset_reading: What X-RateLimit-Reset means (Lofty's page contradicts itself).
    :param rate_refusal_status: The status of a rate refusal (the specification has 400 at one operation).
    :param max_concurrent: More requests in flight than this get 429; needs latency to matter (unknown).
    :param clock_offset_seconds: How far the server's clock is ahead: the Date header and epoch resets.
    :param known_leads: "any": every positive lead id exists; "listed": only added ones.
    :param missing_leads: Lead ids that answer 404 with code 20006 all the same.
    :param merged_leads: Lead id → the id of the lead it was merged into, which is what answers then name.
    :param hidden_leads: Leads that the caller may not see: they answer 404, and a list counts them but leaves them out.
    :param ignored_lead_parameters: Parameters of the list of leads that Lofty does not know, and so ignores (seen).
    :param phone_needs_country_code: A phone is found only as it is stored, with or without the 1 (unknown).
    :param scroll_pages: How many pages a scrollId is good for before it is refused (unknown; default: any number).
    :param lead_newcomers: So many new leads come while the list of leads is paged, one after each page but the last.
    :param error_shape: How errors are written; all have been seen but "html", which is a gateway's.
    :param refusals: Question → how it is refused, by the names that a profile has for it, such as "missing_lead".
    :param account_id: Whose the credential is; None: GET /v1.0/me names no id.
    :param latency_seconds: How long every answer takes.
    :param faults: Fault name → probability for each POST of an activity.
    :param scripted_faults: The faults of the first activities, in order (None: none), before chance decides.
    :param seed: The seed of the faults.
    :param slow_seconds: How long the fault "slow" takes to answer.
    :param late_seconds: How long after its answer the faults "late_504" and "late_drop" store an activity.
    :param canned_answers: Operation name → an answer that is given whatever is asked; nothing is stored.
    :param read_lag_seconds: How long a stored activity takes to show when reading back (unknown).
    :param lead_lag_seconds: Lead id → how much longer its activities take to show.
    :param newcomers: So many activities of others come to a lead while it is paged, one after each full page.
    :param read_back_status: The error status of reading activities back, such as 403 (default: it works).
    :param list_order: The order in which a lead's activities are listed (Lofty: newest_created).
    :param page_size: How many activities of a lead a page has (Lofty: 100).
    :param first_page: The number of a lead's first page of activities; a lower one is the same (Lofty: 0).
    :param ignores_page: Every page of a lead's activities is the first one (unknown).
    :param shown: Field → changes, by name, with which reading back gives it.
    :param trims_text: Reading back gives strings without surrounding white space (unknown).
    :param escapes_text: Reading back gives text and link as HTML writes them, "&amp;" for "&" (unknown).
    :param lowers_type: Reading back gives "type" in lower case (unknown).
    :param created_form: How reading back gives "created" (unknown; Lofty has made text of other numbers).
    :param truncates_created_to_seconds: Reading back gives "created" without its milliseconds (unknown).
    :param unset_numbers_read_minus_one: Reading back gives -1 for listing numbers not sent (seen).
    :param stores_twice: Every accepted activity is stored twice (unknown).
    :param ignores_repeats: A repeated activity is answered with 200 but not stored again (unknown).
    :param accepts_empty_strings: Required strings may be empty (unknown).
    :param never_empty: Those of the required strings that may not be empty all the same.
    :param max_text_length: Longer strings get 400 with code 20043 (default: no limit; none is stated).
    :param get_needs_content_type: GET without a JSON Content-Type gets 400 (seen at some endpoints).
    :param keep_alive_seconds: How long an idle connection stays open; read when the sandbox starts.
    :param kept_requests: How many of the newest requests are remembered; read when the sandbox starts.
    """

    # Made up, as they say: no check for secrets needs to look further.
    api_key: str = "made-up-api-key"
    access_token: str = "made-up-access-token"  # noqa: S105
    client_id: str = "made-up-client-id"
    client_secret: str = "made-up-client-secret"  # noqa: S105
    customer_key: str = "made-up-customer-key"
    authorization_code: str = "made-up-authorization-code"
    refresh_token: str = "made-up-refresh-token"  # noqa: S105
    token_lifetime_seconds: float = 3600.0
    rotates_refresh_token: bool = True
    permission_denied: AbstractSet[OperationName] = frozenset()

    requests_per_minute: float = 500.0
    window_seconds: float = 60.0
    read_requests_per_minute: float | None = None
    rate_headers: bool = True
    without_rate_headers: AbstractSet[AnswerKind] = frozenset()
    rate_reset_reading: ResetReading = "milliseconds_left"
    rate_refusal_status: Literal[429, 400] = 429
    max_concurrent: int | None = None
    clock_offset_seconds: float = 0.0

    known_leads: Literal["any", "listed"] = "any"
    missing_leads: AbstractSet[int] = frozenset()
    merged_leads: Mapping[int, int] = field(default_factory=dict)
    hidden_leads: AbstractSet[int] = frozenset()
    ignored_lead_parameters: AbstractSet[LeadParameter] = frozenset()
    phone_needs_country_code: bool = False
    scroll_pages: int | None = None
    lead_newcomers: int = 0

    error_shape: ErrorShape = "code"
    refusals: Mapping[AnswerField, AnswerForm] = field(default_factory=dict)
    account_id: int | str | None = 11
    latency_seconds: float = 0.0
    faults: Mapping[FaultName, float] = field(default_factory=dict)
    scripted_faults: Sequence[FaultName | None] = ()
    seed: int = 0
    slow_seconds: float = 2.0
    late_seconds: float = 5.0
    canned_answers: Mapping[OperationName, Answer] = field(default_factory=dict)

    read_lag_seconds: float = 0.0
    lead_lag_seconds: Mapping[int, float] = field(default_factory=dict)
    newcomers: int = 0
    read_back_status: int | None = None
    list_order: ListOrder = "newest_created"
    page_size: int = 100
    first_page: Literal[0, 1] = 0
    ignores_page: bool = False
    shown: Mapping[ShownField, Sequence[str]] = field(default_factory=dict)
    trims_text: bool = False
    escapes_text: bool = False
    lowers_type: bool = False
    created_form: CreatedForm = "milliseconds"
    truncates_created_to_seconds: bool = False
    unset_numbers_read_minus_one: bool = True
    stores_twice: bool = False
    ignores_repeats: bool = False
    accepts_empty_strings: bool = True
    never_empty: AbstractSet[RequiredString] = frozenset()
    max_text_length: int | None = None
    get_needs_content_type: bool = False

    keep_alive_seconds: float = 75.0
    kept_requests: int = 100_000

    def __post_init__(self) -> None:
        """Check what would only show later, as odd behaviour."""
        _check_faults(self.faults, self.scripted_faults)
        for name, hint in _HINTS.items():
            _check_choice(name, getattr(self, name), hint)
        for name in ("requests_per_minute", "window_seconds", "token_lifetime_seconds", "kept_requests", "page_size"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be greater than 0")
        for name in _NOT_NEGATIVE:
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        if self.read_back_status is not None and not 400 <= self.read_back_status <= 599:
            raise ValueError("read_back_status must lie between 400 and 599")

    def changes(self) -> dict[str, object]:
        """Give the settings that differ from their defaults, credentials excepted."""
        default = SandboxSettings()
        return {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if item.name not in CREDENTIALS and getattr(self, item.name) != getattr(default, item.name)
        }


CREDENTIALS = frozenset(
    {
        "api_key",
        "access_token",
        "client_id",
        "client_secret",
        "customer_key",
        "authorization_code",
        "refresh_token",
    }
)
_NOT_NEGATIVE = (
    "latency_seconds", "slow_seconds", "late_seconds", "read_lag_seconds", "newcomers", "lead_newcomers",
    "keep_alive_seconds",
)  # fmt: skip
_HINTS: Mapping[str, object] = get_type_hints(SandboxSettings)


def _check_faults(rates: Mapping[FaultName, float], scripted: Sequence[FaultName | None]) -> None:
    names = get_args(FaultName)
    for name in (*rates, *scripted):
        if name is not None and name not in names:
            raise ValueError(f"there is no fault named {name!r}; there are {', '.join(names)}")
    for name, rate in rates.items():
        if not 0 <= rate <= 1:
            raise ValueError(f"the rate of fault {name!r} must lie between 0 and 1, not {rate}")
    # Rates are decimal fractions: ten of 0.1 add up to a little more or less than 1.
    if sum(rates.values()) > 1 + 1e-9:
        raise ValueError("the rates of all faults together must not exceed 1: a request has at most one")


def _check_choice(name: str, value: Any, hint: object) -> None:
    # Sets and mappings are checked by their first type argument: the operation names.
    arguments = get_args(hint)
    if get_origin(hint) is Literal:
        values, choices = [value], arguments
    elif arguments and get_origin(arguments[0]) is Literal:
        values, choices = list(value), get_args(arguments[0])
    else:
        return
    for each in values:
        if each not in choices:
            raise ValueError(f"{name} cannot be {each!r}; it can be {', '.join(map(str, choices))}")
