"""
From the e-mail addresses and phone numbers of rows to leads, with as few requests as possible.

Each different key is looked up once, or all leads are listed, a hundred for each request: whichever takes fewer. A list
counts only when it is complete: as many different leads as Lofty says there are, the same number from its first page to
its last. Of any other list nothing is taken, neither that a lead is there nor that it is the only one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from airflow_provider_lofty.exceptions import LoftyDeliveryIncomplete, LoftyRequestRejected
from airflow_provider_lofty.lofty.client import LoftyClient
from airflow_provider_lofty.lofty.lead_keys import KEY_NAMES, KeyKind
from airflow_provider_lofty.lofty.lead_pages import MOST_LEADS, LeadPage
from airflow_provider_lofty.log import PROGRESS_SECONDS, Log
from airflow_provider_lofty.spool.lead_book import LeadBook

_PATIENCE_SECONDS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)  # before each repeat of a request
_MOST_LISTS = 2  # that may turn out to be incomplete


class LeadFinder:
    """
    Finds out whose the keys in a book are.

    :param book: the keys; what is found goes back there
    :param client: makes the requests
    :param log: which way is taken, and how far it is
    :param before_request: called before each; may raise to end the search
    :param clock: seconds, which also pass while the machine is suspended
    """

    def __init__(
        self,
        book: LeadBook,
        client: LoftyClient,
        log: Log,
        before_request: Callable[[], object],
        clock: Callable[[], float],
    ) -> None:
        self._book = book
        self._client = client
        self._log = log
        self._before_request = before_request
        self._clock = clock
        self._lists = 0  # that were begun
        self._log_at = clock() + PROGRESS_SECONDS

    def find(self, kinds: Sequence[KeyKind]) -> None:
        """
        Look up every key that rows need.

        :param kinds: in the order in which they are to be used
        :raises LoftyUnreachable: a request got no usable answer after several tries
        :raises LoftyConfigurationError, LoftyCredentialRefused: looking leads up is not permitted
        :raises LoftyDeliveryIncomplete: what Lofty answers proves nothing
        """
        keys = self._book.gather(kinds)
        count = sum(keys.values())
        if count == 1:  # asking how many leads there are would take as long
            self._log.info("leads: %s is looked up, in 1 request", keys_text(keys))
        if count > 1:
            first = self._page({})
            if self._list_takes_fewer(first, keys) and self._list_all(first):
                return
        self._look_up(keys)

    def _list_takes_fewer(self, first: LeadPage | None, keys: Mapping[KeyKind, int]) -> bool:
        if first is None or first.total is None:
            self._log.warning("leads: Lofty does not say how many there are; %s are looked up", keys_text(keys))
            return False
        # The first page is there already.
        singly, pages = sum(keys.values()), max(-(-first.total // MOST_LEADS), 1)
        self._log.info(
            "leads: looking up %s takes %d requests, listing all %d leads takes %d: %s", keys_text(keys), singly,
            first.total, pages, "they are listed" if pages <= singly else "each is looked up",
        )  # fmt: skip
        return pages <= singly

    # All leads

    def _list_all(self, first: LeadPage | None) -> bool:
        """
        List all leads, a second time if need be; tell whether a list was complete.

        :param first: the first page, where it was read just now
        """
        page = first
        while self._lists < _MOST_LISTS:
            self._lists += 1
            self._book.forget()
            if self._list(page or self._page({})):
                return True
            self._log.warning("leads: the list changed while it was read, or is not complete: nothing of it is used")
            page = None
        self._book.forget()
        return False

    def _list(self, page: LeadPage | None) -> bool:
        book, total, read, listed = self._book, page.total if page else None, 0, 0
        while page is not None and page.is_readable and total is not None and page.total == total:
            book.take_listed(page.leads)
            before, listed = listed, book.count_listed()
            read += page.size
            if listed == total:
                book.end_list()
                return True
            if listed == before or listed > total:
                return False
            self._progress("leads: %d of %d listed", listed, total)
            page = self._page({"scrollId": page.scroll_id} if page.scroll_id else {"offset": read})
        return False

    def _page(self, params: Mapping[str, str | int]) -> LeadPage | None:
        """Read one page; None when Lofty refuses it, as when a scrollId has expired."""
        self._before_request()
        try:
            return self._client.list_leads(params, _PATIENCE_SECONDS)
        except LoftyRequestRejected:
            return None

    # One by one

    def _look_up(self, keys: Mapping[KeyKind, int]) -> None:
        if self._lists:
            self._log.warning("leads: %s are looked up one by one", keys_text(keys))
        done = 0
        for kind in keys:
            for key in self._book.lookups(kind):
                if not self._look_up_one(kind, key):
                    self._do_without_searching()
                    return
                done += 1
                self._progress("leads: %d of %d looked up", done, sum(keys.values()))

    def _look_up_one(self, kind: KeyKind, key: str) -> bool:
        """Look one key up; tell whether the answer proves something."""
        self._before_request()
        try:
            found = self._client.find_lead_ids(kind, key, _PATIENCE_SECONDS)
        except LoftyRequestRejected as error:
            code = "" if error.code is None else f" (code {error.code})"
            self._book.refuse(kind, key, f"Lofty refused to look this {KEY_NAMES[kind]} up{code}")
            return True
        if found is None:
            return False
        self._book.record(kind, key, found)
        return True

    def _do_without_searching(self) -> None:
        self._log.warning("leads: Lofty answers a search with other leads, which proves nothing: all leads are listed")
        if not self._list_all(None):
            raise LoftyDeliveryIncomplete(
                "leads cannot be found: Lofty answers a search with other leads, and its list of all leads changes "
                "while it is read. Nothing was sent; a retry is safe"
            )

    def _progress(self, message: str, done: int, total: int) -> None:
        if self._clock() >= self._log_at:
            self._log_at = self._clock() + PROGRESS_SECONDS
            self._log.info(message, done, total)


def keys_text(keys: Mapping[KeyKind, int]) -> str:
    """Count keys for people: ``3 e-mail addresses and 1 phone number``."""
    return " and ".join(f"{count} {KEY_NAMES[kind]}{_plural(kind, count)}" for kind, count in keys.items())


def _plural(kind: KeyKind, count: int) -> str:
    return "" if count == 1 else "es" if kind == "email" else "s"
