"""Whose an entry is that rows of several leads look like: whom Lofty is asked about, and what its answers prove."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_lofty.delivery.doubt import Page
from airflow_provider_lofty.delivery.identities import NO_QUESTIONS, Identities, Questions
from airflow_provider_lofty.lofty.trace import Trace, trace_of_body
from airflow_provider_lofty.spool.leads import MOST_ALIKE, Leads, Link
from airflow_provider_lofty.spool.spool import Spool

BODY = b'{"type":"Browse","text":"home","link":"l","picture":"","created":1772359200000}'
OTHER = BODY.replace(b"home", b"hut")


def trace(lead_id: int, body: bytes = BODY) -> Trace:
    return trace_of_body(lead_id, body)


def page(lead_id: int, **named: int) -> Page:
    """A page with what Lofty said of leads when it had come, as ``l2=3``."""
    return Page(lead_id, [], True, 0.0, 0.0, named={int(one[1:]): said for one, said in named.items()})


@pytest.fixture
def leads() -> Iterator[Leads]:
    spool = Spool(keep_cells=False)
    yield spool.leads
    spool.close()


@pytest.fixture
def identities(leads: Leads) -> Identities:
    return Identities(leads)


def have_the_same(leads: Leads, *others: int) -> None:
    """Let rows of these leads say what the one says that is sought."""
    for lead_id in others:
        leads.add_stray(lead_id, trace(lead_id).content, lead_id)


class TestQuestions:
    def test_only_what_is_shown_raises_some(self) -> None:
        questions = Questions((9,), {trace(1).trace_hash: (1, 2), trace(1, OTHER).trace_hash: (1, 3)})
        assert list(questions.about([])) == [9]
        assert list(questions.about([trace(1, OTHER), trace(1)])) == [9, 1, 2, 3]

    def test_where_no_other_lead_has_the_same_there_are_none(self, leads: Leads, identities: Identities) -> None:
        have_the_same(leads, 1)
        assert identities.questions(1, [trace(1), trace(1, OTHER)]) == NO_QUESTIONS

    def test_the_lead_and_all_that_have_the_same_are_asked_about(self, leads: Leads, identities: Identities) -> None:
        have_the_same(leads, 3, 2)
        leads.link([Link(lead_id, lead_id, True) for lead_id in (1, 2, 3)])  # whatever was said before
        assert identities.questions(1, [trace(1), trace(1, OTHER)]).shown == {trace(1).trace_hash: [1, 2, 3]}

    def test_of_too_many_only_those_that_no_answer_has_named(self, leads: Leads, identities: Identities) -> None:
        others = range(2, MOST_ALIKE + 3)
        have_the_same(leads, *others)
        assert identities.questions(1, [trace(1)]).shown == {trace(1).trace_hash: [1, *others][:MOST_ALIKE]}
        leads.link([Link(lead_id, lead_id, True) for lead_id in (1, *others[1:])])
        assert identities.questions(1, [trace(1)]).shown == {trace(1).trace_hash: [2]}

    def test_what_a_page_showed_is_asked_about_the_next_time(self, leads: Leads, identities: Identities) -> None:
        have_the_same(leads, 2)
        identities.remember(1, [trace(1)])
        assert identities.questions(1, []).shown == {trace(1).trace_hash: [1, 2]}
        identities.remember(1, [])
        assert identities.questions(1, []) == NO_QUESTIONS

    def test_a_lead_for_which_another_may_have_answered_is_asked_about(
        self, leads: Leads, identities: Identities
    ) -> None:
        leads.link([Link(1, 2, False)])
        assert identities.questions(1, []).always == (1,)
        leads.link([Link(1, 1, True)])
        assert identities.questions(1, []) == NO_QUESTIONS


class TestSharing:
    def test_what_no_other_lead_has_is_not_shared(self, identities: Identities) -> None:
        assert not identities.may_be_shared(trace(1), [trace(2, OTHER)], page(1))

    def test_only_what_lofty_says_after_the_page_tells_leads_apart(self, leads: Leads, identities: Identities) -> None:
        have_the_same(leads, 2)
        leads.link([Link(1, 1, True), Link(2, 2, True)])
        assert identities.may_be_shared(trace(1), [], page(1))
        assert identities.may_be_shared(trace(1), [], page(1, l2=2))
        assert identities.may_be_shared(trace(1), [], page(1, l1=1))
        assert not identities.may_be_shared(trace(1), [], page(1, l1=1, l2=2))

    def test_rows_on_their_way_count_too(self, identities: Identities) -> None:
        on_their_way = [trace(2), trace(3, OTHER)]
        assert identities.may_be_shared(trace(1), on_their_way, page(1, l1=1))
        assert not identities.may_be_shared(trace(1), on_their_way, page(1, l1=1, l2=2))

    def test_leads_that_were_merged_are_one(self, leads: Leads, identities: Identities) -> None:
        have_the_same(leads, 2)
        identities.take(page(1, l1=1, l2=1))
        assert leads.family(1, is_certain=True) == {1, 2}
        assert not identities.may_be_shared(trace(1), [], page(1))  # the other row claims the entry

    def test_of_too_many_what_was_said_before_is_believed(self, leads: Leads, identities: Identities) -> None:
        others = range(2, MOST_ALIKE + 3)
        have_the_same(leads, *others)
        leads.link([Link(lead_id, lead_id, True) for lead_id in others])
        assert identities.may_be_shared(trace(1), [], page(1))
        leads.link([Link(1, 1, True)])
        assert not identities.may_be_shared(trace(1), [], page(1))
        assert identities.may_be_shared(trace(1), [trace(99)], page(1))
