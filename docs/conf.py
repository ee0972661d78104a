"""How Sphinx makes the site of these chapters: ``make docs``."""

from __future__ import annotations

import re
import sys
from os.path import relpath
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import package_page

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent

project = "airflow-provider-lofty"
author = "The airflow-provider-lofty authors"
copyright = author
release = package_page.version()
repository = package_page.publishing().repository

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["README.md"]  # index.md holds it
nitpicky = True  # a reference that leads nowhere is a warning, and warnings are errors
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4  # as GitHub makes them, so that a link works in both places

autodoc_typehints = "none"  # the docstring says what each argument takes
autodoc_member_order = "bysource"
# Of packages whose documentation is not here to look into.
nitpick_ignore_regex = [("py:class", r"(airflow|requests|collections|Base|Decorated)\S*")]

html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False
html_theme_options = (
    {"source_repository": f"{repository}/", "source_branch": "main", "source_directory": "docs/"} if repository else {}
)

# Where the site has what lies elsewhere, or under another name, in the repository.
PAGES = {
    ROOT / "README.md": "index.md",
    DOCS / "README.md": "index.md",
    **{ROOT / f"{name.upper()}.md": f"project/{name}.md" for name in ("changelog", "contributing", "versioning")},
    **dict.fromkeys(ROOT.glob("dags/*.py"), "examples.rst"),
}
CHAPTERS = re.findall(r"^\| \[[^\]]+\]\(([\w-]+)\.md\)", (DOCS / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
LINK = re.compile(r"(!?)\[([^\]]+)\]\((?!https?://|#)([^)#]+)(#[^)]*)?\)")


def site_links(text: str, file: Path, page: str) -> str:
    """
    Turn a file's links, which lead through the repository, into those of the site's page that shows it.

    What the site does not have is linked in the repository, or only named where none is set.
    """

    def rewritten(link: re.Match[str]) -> str:
        target = (file.parent / link[3]).resolve()
        if target in PAGES:
            return f"[{link[2]}]({relpath(DOCS / PAGES[target], (DOCS / page).parent)})"
        if link[1] or target.is_relative_to(DOCS):
            return f"{link[1]}[{link[2]}]({relpath(target, (DOCS / page).parent)}{link[4] or ''})"
        if repository:
            return f"[{link[2]}]({repository}/blob/v{release}/{target.relative_to(ROOT)}{link[4] or ''})"
        return link[2]

    return LINK.sub(rewritten, text)


def setup(app: Any) -> None:
    """Rewrite each Markdown file when it is read, be it a page or a part of one; list chapters as README.md does."""

    def read(app: Any, page: str, content: list[str]) -> None:
        file = Path(app.env.doc2path(page))
        if page == "index":
            content[0] = content[0].replace("CHAPTERS", "\n".join(CHAPTERS))
        if file.suffix == ".md":
            content[0] = site_links(content[0], file, page)

    def include(app: Any, file: Path, page: str, content: list[str]) -> None:
        if file.suffix == ".md":
            content[0] = site_links(content[0], (DOCS / file).resolve(), app.env.docname)

    app.connect("source-read", read)
    app.connect("include-read", include)
