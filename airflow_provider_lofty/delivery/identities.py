"""
Whose an entry is that rows of several leads look like.

Leads that Lofty has merged show the same entries. So where another lead has the same row as well, an entry proves
nothing as long as Lofty does not say which lead each of the two is, and it has to say so after the page came: an answer
that is older than the entry tells nothing of a merge between the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from airflow_provider_lofty.delivery.doubt import Page
from airflow_provider_lofty.lofty.trace import Trace
from airflow_provider_lofty.spool.leads import MOST_ALIKE, Leads, Link


class Questions(NamedTuple):
    """
    Which leads Lofty is asked about when a lead's page has come.

    :param always: these, whatever it shows
    :param shown: trace → these, where it shows that
    """

    always: Sequence[int] = ()
    shown: Mapping[bytes, Sequence[int]] = {}

    def about(self, entries: Iterable[Trace]) -> Iterator[int]:
        """Say which leads to ask about, each once, when these entries are shown."""
        there = {entry.trace_hash for entry in entries}
        raised = (leads for trace_hash, leads in self.shown.items() if trace_hash in there)
        return iter(dict.fromkeys(chain(self.always, *raised)))


NO_QUESTIONS = Questions()


class Identities:
    """
    What Lofty is asked about the identity of leads, and what follows from its answers.

    :param leads: what is known of them
    """

    def __init__(self, leads: Leads) -> None:
        self._leads = leads
        self._shared: dict[int, list[Trace]] = {}  # shown on a lead's last page, and perhaps of another lead

    def questions(self, lead_id: int, wanted: Iterable[Trace]) -> Questions:
        """
        Say what to ask when a lead's page has come.

        :param wanted: what is sought there
        """
        leads = self._leads
        always = (lead_id,) if leads.is_suspected(lead_id) and not leads.is_known(lead_id) else ()
        sought = dict.fromkeys(chain(wanted, self._shared.get(lead_id, ())))
        return Questions(always, {one.trace_hash: asked for one in sought if (asked := self._to_ask(one))})

    def _to_ask(self, one: Trace) -> list[int]:
        alike = self._leads.alike(one.content, one.lead_id)
        if len(alike) > MOST_ALIKE:
            return self._unnamed(one)[:MOST_ALIKE]
        named = sorted(lead_id for lead_id in alike if lead_id is not None)
        return [one.lead_id, *named] if alike and None not in alike else []

    def _unnamed(self, one: Trace) -> list[int]:
        """Of the leads with a row that says this, its own first: those that no answer has named."""
        own = [] if self._leads.is_known(one.lead_id) else [one.lead_id]
        return own + sorted(self._leads.unnamed(one.content, one.lead_id))

    def take(self, page: Page) -> None:
        """Learn what Lofty said of leads when a page had come."""
        self._leads.link([Link(lead_id, said, is_certain=True) for lead_id, said in page.named.items()])

    def may_be_shared(self, found: Trace, others: Iterable[Trace], page: Page) -> bool:
        """
        Whether an entry may be of a row of another lead, of which nobody knows whether it was merged.

        :param others: rows of other leads that may be stored
        """
        family = self._leads.family(found.lead_id, is_certain=False)
        open_leads = {other.lead_id for other in others if other.content == found.content} - family
        alike = self._leads.alike(found.content, found.lead_id) | open_leads
        if len(alike) <= MOST_ALIKE:
            return bool(alike) and not {found.lead_id, *alike} <= page.named.keys()
        return bool(self._unnamed(found)) or not all(map(self._leads.is_known, open_leads))

    def remember(self, lead_id: int, shared: Iterable[Trace]) -> None:
        """
        Take note of what a lead's page showed that may be of another lead: the next time Lofty is asked about it.

        :param shared: replaces what was noted before
        """
        self._shared.pop(lead_id, None)
        if noted := list(shared):
            self._shared[lead_id] = noted
