"""The README, the chapters in ``docs/`` and the project's own pages as data: sections, tables, links, pictures, fenced blocks."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_LINK = re.compile(r"(!\[[^\]]*)?\]\(([^)]+)\)")  # a link's own text may hold brackets, so only its end is sought


class Block(NamedTuple):
    """
    A fenced code block.

    :param place: document and line, as pytest shows it
    :param language: the word behind the fence; empty when there is none
    """

    place: str
    language: str
    text: str


class Document:
    """One Markdown file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.relative_to(ROOT).as_posix()
        self.text = path.read_text(encoding="utf-8")

    @cached_property
    def blocks(self) -> list[Block]:
        return [
            Block(f"{self.name}:{self.text.count(chr(10), 0, fence.start()) + 1}", fence[1], fence[2])
            for fence in _FENCE.finditer(self.text)
        ]

    @cached_property
    def prose(self) -> str:
        """The text without its fenced blocks, where a ``#`` starts a comment and not a heading."""
        return _FENCE.sub("", self.text)

    @cached_property
    def anchors(self) -> set[str]:
        """The fragments that GitHub gives the headings."""
        return {re.sub(r"[^\w\- ]", "", heading[2].lower()).replace(" ", "-") for heading in self._headings}

    @cached_property
    def links(self) -> list[str]:
        """Where links and pictures lead, but for those to other sites."""
        return [link[2] for link in _LINK.finditer(self.prose) if not re.match(r"https?://", link[2])]

    @cached_property
    def pictures(self) -> set[Path]:
        return {(self.path.parent / link[2]).resolve() for link in _LINK.finditer(self.prose) if link[1]}

    def resolve(self, link: str) -> tuple[Path, str]:
        """Split a link into the file that it leads to and the fragment in it."""
        path, _, fragment = link.partition("#")
        return (self.path.parent / path).resolve() if path else self.path, fragment

    def sections(self, heading: str) -> list[str]:
        """The text below each heading of these words, up to the next one of its level or above."""
        found = []
        for start in self._headings:
            if start[2] == heading:
                ends = (h.start() for h in self._headings if h.start() > start.start() and len(h[1]) <= len(start[1]))
                found.append(self.prose[start.end() : next(ends, None)])
        return found

    @cached_property
    def _headings(self) -> list[re.Match[str]]:
        return list(_HEADING.finditer(self.prose))


README = Document(ROOT / "README.md")
INDEX = Document(ROOT / "docs" / "README.md")
SITE = ROOT / "docs" / "index.md"  # made of the others, for Sphinx alone: make docs
CHAPTERS = [Document(path) for path in sorted((ROOT / "docs").glob("*.md")) if path not in (INDEX.path, SITE)]
PROJECT = [
    Document(ROOT / f"{name}.md") for name in ("CODE_OF_CONDUCT", "CONTRIBUTING", "RELEASING", "SECURITY", "VERSIONING")
]
DOCUMENTS = [README, INDEX, *CHAPTERS, *PROJECT]


def section(heading: str) -> str:
    """The one section of this heading in all documents, its sub-sections included."""
    found = [text for document in DOCUMENTS for text in document.sections(heading)]
    assert len(found) == 1, f"{len(found)} sections are called {heading!r}"
    return found[0]


def table_below(heading: str) -> list[list[str]]:
    """The cells of the first table in a section, without the table's own heading."""
    lines = re.search(r"(?:^\|.*\n)+", section(heading), re.MULTILINE)
    assert lines, heading
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[0].splitlines()[2:]]


def blocks_of(*languages: str) -> list[Block]:
    """The fenced blocks in these languages, in all documents."""
    return [block for document in DOCUMENTS for block in document.blocks if block.language in languages]
