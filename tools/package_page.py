"""Makes what an index shows of this project: its links, its contact, and the README as it reads there.

A package page knows no folder that "docs/connection.md" could lie in. Once ``[publishing] repository`` in setup.cfg
says where the project lives, the README's links and pictures lead there, to the tag of this version. Until then the
page does without: pictures go, links become their text, and what needs a checkout is left out.
"""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path
from runpy import run_path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "airflow-provider-lofty"

_CHECKOUT_ONLY = re.compile(r"<!-- checkout -->\n.*?<!-- end of checkout -->\n", re.DOTALL)
_ELSEWHERE = """\
## Documentation

The chapters of the documentation and more example Dags are in the source distribution, under `docs/` and `dags/`.

"""
_PICTURE = re.compile(r"^!\[[^\]]*\]\((?!https?://)[^)]+\)\n+", re.MULTILINE)
_ASIDE = re.compile(r"\s\(\[[^\]]+\]\((?!https?://)[^)]+\)\)")  # a link that says nothing by itself: " ([how](…))"
_LINK = re.compile(r"(!?)\[([^\]]+)\]\((?!https?://|#)([^)]+)\)")
_IN_A_CHECKOUT = ",\nin a clone of this repository:\n"
_INSTALL_FROM_CHECKOUT = re.compile(r"pip install -c constraints\.txt '\.(\[\w+\])?'")


class Publishing(NamedTuple):
    """
    Where the project is published, as setup.cfg says; empty until it is.

    :param repository: URL of the repository, on a host that shows files as GitHub does
    :param contact: e-mail address for reports about security and conduct
    """

    repository: str
    contact: str


def publishing() -> Publishing:
    """Read ``[publishing]`` of setup.cfg."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    section = config["publishing"]
    return Publishing(section["repository"].rstrip("/"), section["contact"])


def metadata() -> dict[str, Any]:
    """Give setuptools what depends on the place of publication."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    place = publishing()
    found: dict[str, Any] = {"long_description": page(readme, place.repository, version())}
    if place.contact:
        found["author_email"] = place.contact
    if place.repository:
        found["project_urls"] = project_urls(place.repository)
    return found


def version() -> str:
    """Read the version without importing what the package needs."""
    found: str = run_path(str(ROOT / "airflow_provider_lofty" / "__init__.py"))["__version__"]
    return found


def project_urls(repository: str) -> dict[str, str]:
    """Name the pages that an index shows beside the description."""
    return {
        "Source": repository,
        "Documentation": f"{repository}/tree/HEAD/docs",
        "Changelog": f"{repository}/blob/HEAD/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }


def page(readme: str, repository: str, version: str) -> str:
    """
    Write the README as it reads on an index.

    :param repository: empty where there is none: nothing on the page leads to it then
    """
    text = _INSTALL_FROM_CHECKOUT.sub(rf"pip install '{PACKAGE}\1'", readme.replace(_IN_A_CHECKOUT, ":\n"))
    if not repository:
        text = _CHECKOUT_ONLY.sub("", text).replace("## Licence\n", f"{_ELSEWHERE}## Licence\n")
        return _LINK.sub(r"\2", _ASIDE.sub("", _PICTURE.sub("", text)))
    tag = f"v{version}"
    return _LINK.sub(lambda link: f"{link[1]}[{link[2]}]({repository}/{_view(link)}/{tag}/{link[3]})", text)


def _view(link: re.Match[str]) -> str:
    return "raw" if link[1] else "blob"
