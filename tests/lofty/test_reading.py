"""What one reading of a lead makes of its pages, while entries move."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_lofty.lofty.reading import MOST_PAGES, Snapshot, read_lead

LEAD = 5


def entry(n: int, **values: object) -> dict[str, object]:
    """The higher its number, the newer it is."""
    return {"type": "Browse", "created": 1_700_000_000_000 + n * 1000, "text": f"home {n}", "link": "", **values}


class Server:
    """
    Lists entries in pages of 100, newest first.

    :param meanwhile: called after each request with its number; may change the entries
    """

    def __init__(
        self, entries: list[Any], meanwhile: Callable[[int, list[Any]], object] = lambda n, all_: None
    ) -> None:
        self.entries = entries
        self.asked: list[int] = []
        self._meanwhile = meanwhile

    def __call__(self, number: int) -> list[object]:
        page = self.entries[number * 100 : number * 100 + 100]
        self.asked.append(number)
        self._meanwhile(len(self.asked), self.entries)
        return page

    def read(self, since: int = 0) -> Snapshot:
        return read_lead(self, LEAD, since)


def texts(shown: Snapshot) -> int:
    """How many different entries were counted; fails where one counts twice."""
    hashes = [one.trace_hash for one in shown.entries]
    assert len(set(hashes)) == len(hashes)
    return len(hashes)


def many(count: int) -> list[Any]:
    return [entry(n) for n in reversed(range(count))]


class TestStandingStill:
    @pytest.mark.parametrize(("count", "asked"), [(0, [0]), (99, [0]), (100, [0, 1, 0]), (250, [0, 1, 2, 0])])
    def test_all_pages_are_read_and_the_first_once_more(self, count: int, asked: list[int]) -> None:
        server = Server(many(count))
        shown = server.read()
        assert (texts(shown), shown.is_complete, shown.reached) == (count, True, None)
        assert server.asked == asked

    def test_no_further_than_needed(self) -> None:
        server = Server(many(500))
        since = 1_700_000_000_000 + 450_000
        shown = server.read(since)
        assert (texts(shown), shown.is_complete, shown.reached) == (100, True, since)
        assert server.asked == [0]

    def test_where_entries_are_in_no_order_all_are_read(self) -> None:
        entries = many(300)
        entries[3], entries[250] = entries[250], entries[3]
        assert texts(Server(entries).read(1_700_000_000_000 + 290_000)) == 300

    def test_a_server_that_shows_the_same_page_again_and_again(self) -> None:
        first = many(100)
        shown = read_lead(lambda number: first, LEAD, 0)
        assert (texts(shown), shown.is_complete) == (100, False)

    def test_more_than_can_be_read(self) -> None:
        server = Server(many(MOST_PAGES * 100 + 1))
        assert not server.read().is_complete
        assert len(server.asked) == MOST_PAGES

    def test_true_twins_on_both_sides_of_a_page_count_both(self) -> None:
        entries = many(150)
        entries[100:100] = [entries[99]] * 2
        server = Server(entries)
        shown = server.read()
        assert (len(shown.entries), shown.is_complete) == (152, True)
        assert server.asked == [0, 1, 0, 0]


class TestMoving:
    @pytest.mark.parametrize("came", [1, 2, 7])
    def test_what_moves_to_the_next_page_counts_once(self, came: int) -> None:
        def add(asked: int, entries: list[Any]) -> None:
            if asked == 1:
                entries[:0] = [entry(1000 + n) for n in range(came)]

        shown = Server(many(150), add).read()
        assert (texts(shown), shown.is_complete) == (150, True)

    def test_also_beside_a_twin(self) -> None:
        entries = many(150)
        entries[100] = entries[99]

        def add(asked: int, entries: list[Any]) -> None:
            if asked == 1:
                entries.insert(0, entry(1000))

        shown = Server(entries, add).read()
        assert (len(shown.entries), shown.is_complete) == (150, True)

    def test_what_moves_twice_is_read_anew(self) -> None:
        def add(asked: int, entries: list[Any]) -> None:
            if asked <= 2:
                entries.insert(0, entry(1000 + asked))

        shown = Server(many(150), add).read()
        assert (texts(shown), shown.is_complete) == (152, True)

    def test_what_never_stands_still_is_not_complete(self) -> None:
        def add(asked: int, entries: list[Any]) -> None:
            entries.insert(0, entry(1000 + asked))

        shown = Server(many(350), add).read()
        assert not shown.is_complete
        assert texts(shown) == 100

    def test_more_new_ones_than_a_page_has(self) -> None:
        def add(asked: int, entries: list[Any]) -> None:
            if asked == 1:
                entries[:0] = [entry(1000 + n) for n in reversed(range(150))]

        shown = Server(many(150), add).read()
        assert (texts(shown), shown.is_complete) == (300, True)

    @pytest.mark.parametrize("gone", [0, 50, 99])
    def test_what_was_deleted_above_made_another_one_invisible(self, gone: int) -> None:
        def remove(asked: int, entries: list[Any]) -> None:
            if asked == 1:
                del entries[gone]

        shown = Server(many(150), remove).read()
        assert (texts(shown), shown.is_complete) == (149, True)

    def test_deletions_without_end(self) -> None:
        shown = Server(many(350), lambda asked, entries: entries.pop(0)).read()
        assert not shown.is_complete

    def test_new_ones_on_the_first_page_do_no_harm(self) -> None:
        def add(asked: int, entries: list[Any]) -> None:
            if asked == 2:
                entries.insert(40, entry(109, text="between"))

        shown = Server(many(150), add).read()
        assert (texts(shown), shown.is_complete) == (150, True)


class TestUnreadable:
    @pytest.mark.parametrize(
        "odd",
        [
            "text", 7, None, [], {}, entry(1, created=None), entry(1, created="soon"), entry(1, created=1.5),
            entry(1, created=True), entry(1, created="9" * 5000), entry(1, text=7), entry(1, type=[]),
            entry(1, link={}), entry(1, text="\ud800"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_read_is_kept_apart(self, odd: Any) -> None:
        shown = Server([entry(2), odd, entry(0)]).read()
        assert (len(shown.entries), len(shown.unreadable), shown.is_complete) == (2, 1, True)

    @pytest.mark.parametrize(
        "fine", [entry(1, created="1700000001000"), entry(1, type="Sold a home"), entry(1, text=None), {"created": 1}]
    )
    def test_what_is_only_unusual_can_be_read(self, fine: Any) -> None:
        shown = Server([fine]).read()
        assert (len(shown.entries), shown.unreadable) == (1, [])

    def test_digits_are_the_number(self) -> None:
        as_text, as_number = (Server([entry(1, created=made)]).read() for made in ("1700000001000", 1_700_000_001_000))
        assert as_text == as_number
