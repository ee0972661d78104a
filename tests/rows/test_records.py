"""Records of delimited text: quotes and backslashes add up, or the whole file is refused."""

from __future__ import annotations

import io
from typing import Any

import pytest
from support.practice import Log

from airflow_provider_lofty.rows.file_options import FileOptions
from airflow_provider_lofty.rows.lines import LONGEST_LINE, Lines
from airflow_provider_lofty.rows.notes import Notes
from airflow_provider_lofty.rows.records import Records
from airflow_provider_lofty.rows.source import RefusedFile


def records(text: str, delimiter: str = ",", *, width: int = 0, log: Log | None = None, **options: Any) -> Any:
    """Split a text; give each record with its line."""
    notes = Notes()
    found = Records(Lines(io.StringIO(text, newline="")), delimiter, FileOptions.from_dict(options), notes)
    found.strict.width = width
    split = list(found)
    if log is not None:
        notes.log(log)
    return split


def cells(text: str, delimiter: str = ",", **options: Any) -> list[list[str]]:
    return [cells for _, cells in records(text, delimiter, **options)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_whatever_ends_them_and_whatever_spans_them(end: str) -> None:
    text = end.join(["a,b", '"1', '","x"', "", "2,y", '3,"z"'])
    assert records(text) == [(1, ["a", "b"]), (2, [f"1{end}", "x"]), (5, ["2", "y"]), (6, ["3", "z"])]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a,b\n1,Hello\rWorld\n2,x\n", (1, 2)),
        ("a,b\r\n1,Hello\rWorld\r\n", (1, 2)),
        ("a,b\n1,Hello\r\r\n2,x\n", (1, 2)),
        ("a,b\n1,x\n2,Hello\r", (1, 3)),
        ("a,b\r1,x\r2,Hello\nWorld\r", (1, 3)),
        ('a,b\n1,"x"\n2,Hello\rWorld\n', (1, 3)),
        ('a,b\n"1\r\r","x\ry"\r2,z\n', (1, 5)),
        ('a,b\n1, "x"\r2,z\n', (1, 2)),
        ('a,b\n1, "x"\n2,Hello\rWorld', (1, 3)),
        ("a,b\n" + "1,x\n" * 50_000 + "2,Hello\rWorld\n", (1, 50_002)),
        ("a,b\r" + "1,x\r" * 50_000 + "2,Hello\nWorld\r", (1, 50_002)),
    ],
)
def test_a_carriage_return_alone_beside_other_line_ends_may_be_of_a_cell(text: str, lines: tuple[int, int]) -> None:
    with pytest.raises(RefusedFile, match=r"^line {} ends with .*, line {} with .*: .*in quotes".format(*lines)):
        records(text)


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("size", [1, 2, 20_000])
def test_line_ends_that_were_converted_twice_are_line_ends(quoted: bool, size: int) -> None:
    cell = '"x\r\ry\nz"' if quoted else "x"
    found = cells("a,b\r\r\n" + f"1,{cell}\r\r\n" * size)
    assert found == [["a", "b"], *[["1", cell.strip('"')]] * size]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("inside", ["\n", "\r\n", "\r", "\r\r\n"])
def test_an_enclosed_cell_holds_any_line_end(end: str, inside: str) -> None:
    text = end.join(["a,b", f'1,"x{inside}"', f'"{inside}y",2', ""])
    assert cells(text) == [["a", "b"], ["1", f"x{inside}"], [f"{inside}y", "2"]]


def test_what_only_some_programs_take_for_a_line_end_is_text() -> None:
    text = "A\x0bB\x0cC\x1cD\x1dE\x1eF\x85G\u2028H\u2029I"
    assert cells(f'1,{text}\n2,"{text}"\n') == [["1", text], ["2", text]]


def test_lines_are_counted_across_blocks() -> None:
    lines = [f"{n},{'x' * 90}" if n % 7 else f'"{n}","{"y" * 70}\n"' for n in range(1, 5000)]
    found = records("\n".join(lines))
    begins = [1 + n + n // 7 - (n % 7 == 0) for n in range(1, 5000)]
    assert [(line, int(cells[0])) for line, cells in found] == [
        (begin - 1, n) for n, begin in enumerate(begins, start=1)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('1,5" pipe,x"', ["1", '5" pipe', 'x"']),
        ('1, "a, b",  "c"', ["1", "a, b", "c"]),
        ('"1" ,"a"\t,x', ["1", "a", "x"]),
        ('1,"said ""hi"", "" twice",', ["1", 'said "hi", " twice', ""]),
        (r'1,"said \"hi\" twice",x', ["1", 'said "hi" twice', "x"]),
        (r'1,"{""a"": ""say \""hi\""""}",x', ["1", r'{"a": "say \"hi\""}', "x"]),
        (r'1,"""say \""hi\""""",x', ["1", r'"say \"hi\""', "x"]),
        (r'1,"C:\homes",x\y', ["1", r"C:\homes", r"x\y"]),
        (r"1,\N,5\" pipe", ["1", r"\N", r"5\" pipe"]),
        ('1,"a\0b",\0', ["1", "a\0b", "\0"]),
    ],
)
def test_what_can_mean_one_thing_only_is_read(text: str, expected: list[str]) -> None:
    assert cells(text) == [expected]


BOTH = r'say file_options={"escape": "\\"} where a backslash escapes what follows, {"escape": None} where it is text'


@pytest.mark.parametrize(
    "text",
    [
        'a,b\n1,"ends in \\",2\n3,"\\",4',
        'a,b\n1,"ends in \\""\n',
        'a,b\n1,"ends in \\"',
        'a,b\n1,"two\nends in \\"",x\n',
        'a,b\n1,"then \\"\n2,b',
        'a,b\n1,"then \\"" ,b',
    ],
)
def test_a_backslash_that_may_end_a_cell_or_not_refuses_the_file(text: str) -> None:
    with pytest.raises(RefusedFile, match=r"^line [23].* a quote behind a backslash may be escaped") as raised:
        cells(text)
    assert BOTH in str(raised.value)


@pytest.mark.parametrize(
    "odd", [r'2,"C:\\homes"', r'2,"{""a"": ""\""b""}"', r"2,C:\\homes", '2,"ends in \\\nand goes on"']
)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_file_cannot_mean_both_by_its_backslashes(odd: str, *, is_first: bool) -> None:
    lines = [r'1,"said \"hi\" twice"', odd]
    with pytest.raises(RefusedFile, match="may be text or escape"):
        cells("\n".join(lines[:: 1 if is_first else -1]))
    assert len(cells(odd)) == 1


def test_escape_says_what_a_backslash_is() -> None:
    text = '1,"ends in \\",C:\\new\n'
    assert cells(text, escape=None) == [["1", "ends in \\", r"C:\new"]]
    with pytest.raises(RefusedFile, match=r"^line 1: a quote is never closed"):
        cells(text, escape="\\")
    text = '1,"5\\"",a\\,b,\\\\,C:\\new,\\N\n2,"a\\\nb",c\\\nd,""'
    assert cells(text, escape="\\") == [["1", '5"', "a,b", "\\", r"C:\new", r"\N"], ["2", "a\nb", "c\nd", ""]]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('1,"Cozy nest,u\n2,"Big nest,u\n', "line 2, of a row from line 1: .* followed by a letter"),
        ('1,"a" b,u', "line 1: .* followed by a blank"),
        ('x,y\n1,"a"5', "line 2: .* followed by a digit"),
        ('1,"a"(b)', "line 1: .* followed by a mark"),
        ('1, "a"b', "line 1: .* followed by a letter"),
        ('1,"x\\"""y"', "line 1: .* followed by a letter"),
        ('1, "Cozy nest,u\n2,5",u', "line 1: a quote behind a blank is not closed in its line"),
        ('1,a\n"2,b\n3,c\n', "line 2: a quote is never closed"),
        ('1,a\n2,"', "line 2: a quote is never closed"),
    ],
)
def test_a_stray_quote_refuses_the_file_and_names_line_and_way_out(text: str, what: str) -> None:
    with pytest.raises(RefusedFile, match=f"^{what}") as raised:
        cells(text)
    assert r'twice (""), or say file_options={"quoting": "none"}' in str(raised.value)
    assert "nest" not in str(raised.value)


@pytest.mark.parametrize("odd", ["2\ttwo\\nlines", "2\tC:\\\\homes"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_databases_mark_beside_backslashes_that_may_escape_refuses_the_file(odd: str, *, is_first: bool) -> None:
    lines = ["1\t\\N", odd]
    text = "\n".join(lines[:: 1 if is_first else -1])
    with pytest.raises(RefusedFile, match="as databases write it") as raised:
        cells(text, "\t")
    assert r'say file_options={"quoting": "none", "escape": "\\"} for what COPY' in str(raised.value)
    assert [len(found) for found in cells(text, "\t", escape=None)] == [2, 2]
    assert cells(odd, "\t") == [odd.split("\t")]


def test_where_quotes_enclose_nothing_they_are_characters() -> None:
    assert cells('1\t"Cozy nest\n2\t"Big" nest\n', "\t", quoting="none") == [["1", '"Cozy nest'], ["2", '"Big" nest']]


def test_copy_and_mysql_escape_with_letters() -> None:
    text = 'a\\tb\tc\\nd\\\\e\t\\N\n"\\0\tx\\\ny\t\n\\.\n'
    expected = [["a\tb", "c\nd\\e", r"\N"], ['"\0', "x\ny", ""]]
    assert cells(text, "\t", quoting="none", escape="\\") == expected
    with pytest.raises(RefusedFile, match=r"^line 1: a backslash is followed by a letter"):
        cells("a\\qb", "\t", quoting="none", escape="\\")


def test_without_quotes_a_backslash_that_nobody_explained_refuses_the_file() -> None:
    assert cells("1\t\\N\n\\N\t2\n", "\t", quoting="none") == [["1", r"\N"], [r"\N", "2"]]
    assert cells("1\tC:\\new\n", "\t", quoting="none", escape=None) == [["1", r"C:\new"]]
    for text in ("1\tC:\\new\n", "1\ta\\N\n", "1\t\\Nx\n", "x\ty\\\n"):
        with pytest.raises(RefusedFile, match=r"^line 1 has a backslash") as raised:
            cells(text, "\t", quoting="none")
        assert BOTH in str(raised.value)


def test_a_row_that_spans_what_could_be_rows_is_warned_of_once() -> None:
    log = Log()
    text = 'a,b,c\n1,"x\n2,y,z\n3,p",q\n4,"two\nlines",x\n5,"inch,y\n6,5",z\n'
    assert len(records(text, width=3, log=log)) == 4
    (warning,) = log.lines
    assert warning.startswith("a row spans lines, one of which could be a row by itself")
    assert "2 of them; the first: line 2" in warning


@pytest.mark.parametrize("odd", ['9, "x",y', '9,"x" ,y', r'9,"said \"x\" twice",y'])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_row_that_spans_what_could_be_rows_is_refused_where_quotes_are_in_doubt(odd: str, *, is_first: bool) -> None:
    lines = [odd, '1,"nest,x\n2,6",y']
    with pytest.raises(RefusedFile, match="take several rows for one") as raised:
        records("\n".join(lines[:: 1 if is_first else -1]), width=3)
    assert "nest" not in str(raised.value)
    assert len(records("\n".join([odd, '1,"two\nlines",y']), width=3)) == 2


def test_a_cell_of_several_lines_ends_with_its_quote() -> None:
    with pytest.raises(RefusedFile, match="line 2, of a row from line 1: .* followed by a blank"):
        cells('1,"a\nb" ,c')


def test_no_line_and_no_row_is_longer_than_memory_bears() -> None:
    line = "x" * 2**20
    with pytest.raises(RefusedFile, match="line 2: the line has more than 8,388,608 characters"):
        records("a\n" + line * 9)
    with pytest.raises(RefusedFile, match="line 2: the row has more than .* never closed"):
        records('a\n"' + f"{line}\n" * 9)
    assert LONGEST_LINE == 8_388_608
