"""Says what is missing before this version can be released.

make release-check TAG=v0.1.0
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from package_page import ROOT, Publishing, publishing, version


def main(tag: str = "") -> int:
    problems = list(missing(publishing(), version(), tag))
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def missing(place: Publishing, number: str, tag: str) -> Iterator[str]:
    """
    Name what is missing, one after the other.

    :param tag: of the release, where there is one by now
    """
    for name, value in place._asdict().items():
        if not value:
            yield f"setup.cfg: {name} under [publishing] is empty; {WITHOUT[name]}"
    registry = (ROOT / ".airflow-registry.yaml").read_text(encoding="utf-8")
    if place.repository and f"source-url: {place.repository}\n" not in registry:
        yield f".airflow-registry.yaml: source-url is not {place.repository}"
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## \[{re.escape(number)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        yield f"CHANGELOG.md: no section [{number}] with a date"
    if tag and tag != f"v{number}":
        yield f"the tag {tag} is not v{number}, the version in airflow_provider_lofty/__init__.py"


WITHOUT = {
    "repository": "the package page and the site have no links to source, issues and examples without it",
    "contact": "nobody can report a vulnerability in private without it, see SECURITY.md",
}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
