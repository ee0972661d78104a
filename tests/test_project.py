"""The project's own files: the page on an index, releases, workflows, forms, hooks before a commit."""

from __future__ import annotations

import re
import sys
from configparser import ConfigParser
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest
import yaml
from support.documents import README, ROOT, table_below

from airflow_provider_lofty import __version__, sandbox
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator
from airflow_provider_lofty.provider_info import get_provider_info

sys.path.insert(0, str(ROOT / "tools"))

import audit
import check_dist
import check_release
from package_page import Publishing, page, project_urls, publishing

REPOSITORY = "https://code.example.com/somebody/airflow-provider-lofty"
LINK = re.compile(r"\]\(([^)]+)\)")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_page_with_a_repository_has_absolute_links_to_files_that_exist() -> None:
    links = LINK.findall(page(README.text, REPOSITORY, __version__))
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    own = [link.removeprefix(REPOSITORY) for link in links if link.startswith(REPOSITORY)]
    assert len(own) > 15
    for link in own:
        view, tag, path = re.fullmatch(r"/(blob|raw)/v([^/]+)/([^#]+)(?:#.*)?", link).groups()  # type: ignore[union-attr]
        assert (ROOT / path).exists()
        assert (view, tag) == ("raw" if path.endswith((".png", ".svg")) else "blob", __version__)


def test_page_without_a_repository_reads_without_links() -> None:
    text = page(README.text, "", __version__)
    assert [link for link in LINK.findall(text) if not link.startswith(("https://", "#"))] == []
    assert "![" not in text
    assert "make " not in text
    assert "constraints.txt" not in text
    assert "clone" not in text
    assert "SECURITY.md" not in text
    assert "are in the source distribution, under `docs/` and `dags/`" in text


@pytest.mark.parametrize(
    ("readme", "expected"),
    [
        ("a [b](c.md) and [d](https://example.com) and [e](#f)\n", "a b and [d](https://example.com) and [e](#f)\n"),
        ("a ([how](b.md)), c\n", "a, c\n"),
        ("a\n\n![b](c.png)\n\nd\n", "a\n\nd\n"),
        ("pip install -c constraints.txt '.[sandbox]'\n", "pip install 'airflow-provider-lofty[sandbox]'\n"),
        ("a\n<!-- checkout -->\nb\n<!-- end of checkout -->\nc\n", "a\nc\n"),
    ],
)
def test_what_needs_a_checkout_is_left_out(readme: str, expected: str) -> None:
    assert page(readme, "", "1.2.3") == expected


@pytest.mark.parametrize(
    ("link", "page", "expected"),
    [
        ("[a](docs/errors.md#outcomes)", "index", "[a](errors.md#outcomes)"),
        ("[a](docs/errors.md)", "project/changelog", "[a](../errors.md)"),
        ("[a](VERSIONING.md)", "index", "[a](project/versioning.md)"),
        ("[a](dags/lofty_from_files.py)", "index", "[a](examples.rst)"),
        ("![a](docs/connection-form.png)", "project/x", "![a](../connection-form.png)"),
        ("[a](SECURITY.md)", "index", "a"),
        ("[a](https://example.com) [b](#c)", "index", "[a](https://example.com) [b](#c)"),
    ],
)
def test_links_of_the_repository_are_those_of_the_site(link: str, page: str, expected: str) -> None:
    site = run_path(str(ROOT / "docs" / "conf.py"), {"__name__": "conf"})
    site["site_links"].__globals__["repository"] = ""
    assert site["site_links"](link, README.path, page) == expected


def test_urls_of_the_project_lead_into_its_repository() -> None:
    urls = project_urls(REPOSITORY)
    assert {"Source", "Documentation", "Changelog", "Issues"} == set(urls)
    assert all(url.startswith(REPOSITORY) for url in urls.values())


@pytest.mark.parametrize(
    ("metadata", "problems"),
    [
        ("Name: x\n\n[a](https://example.com) [b](#c)\n", []),
        ("Name: x\n\n[a](docs/a.md)\n", ["the package page has the relative link docs/a.md"]),
    ],
)
def test_a_built_page_has_no_relative_link(metadata: str, problems: list[str]) -> None:
    assert list(check_dist.unreadable(metadata)) == problems


def test_a_release_names_every_setting_that_is_missing() -> None:
    problems = list(check_release.missing(Publishing("", ""), "9.9.9", "v9.9.8"))
    for part in ("repository under", "contact under", "no section [9.9.9] with a date", "v9.9.8 is not v9.9.9"):
        assert [problem for problem in problems if part in problem], part
    assert len(problems) == 4


def test_a_release_finds_the_registrys_link_that_is_not_this_one() -> None:
    problems = list(check_release.missing(Publishing(REPOSITORY, "somebody@example.com"), __version__, ""))
    assert [problem for problem in problems if f"source-url is not {REPOSITORY}" in problem]
    assert not [problem for problem in problems if "[publishing]" in problem]


def test_settings_of_publishing_are_whole_or_empty() -> None:
    place = publishing()
    assert place.repository == "" or re.fullmatch(r"https://\S+[^/]", place.repository)
    assert place.contact == "" or re.fullmatch(r"\S+@\S+", place.contact)


def test_licence_is_an_expression_and_its_text_is_there() -> None:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    assert config["metadata"]["license_expression"] == "Apache-2.0"
    assert "License ::" not in config["metadata"]["classifiers"]  # an index refuses both together
    assert "Apache License" in (ROOT / config["metadata"]["license_files"]).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_run_what_make_offers_with_few_rights(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    commands = [step["run"] for step in steps if "run" in step]
    assert {name for command in commands for name in re.findall(r"\bmake ([a-z-]+)", command)} <= TARGETS
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())
    assert all("@" in step["uses"] for step in steps if "uses" in step)


def test_a_release_is_checked_built_listed_attested_and_trusted() -> None:
    jobs = read(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
    runs = [step.get("run", step.get("uses", "")).split("@")[0] for step in jobs["build"]["steps"]]
    order = [
        'make release-check TAG="$GITHUB_REF_NAME"', "make check", "make build", "make sbom",
        "actions/attest-build-provenance", "actions/attest-sbom",
    ]  # fmt: skip
    assert [run for run in runs if run in order] == order
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert jobs["publish"]["environment"]
    assert "secrets." not in (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")


def test_every_python_is_tested_by_the_workflow() -> None:
    matrix = read(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    assert matrix == re.findall(r"Python :: (3\.\d+)", config["metadata"]["classifiers"])


def test_versions_that_are_supported_are_those_of_the_package() -> None:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    supported = {row[0]: row[1] for row in table_below("Airflow and Python")}
    pythons = re.findall(r"Python :: (3\.\d+)", config["metadata"]["classifiers"])
    assert supported["Python"] == f"{pythons[0]} to {pythons[-1]}"
    assert f"apache-airflow>={supported['Airflow'].split()[0]}\n" in config["options"]["install_requires"]


def test_hooks_before_a_commit_are_the_checks_of_make() -> None:
    (repository,) = read(ROOT / ".pre-commit-config.yaml")["repos"]
    recipe = MAKEFILE[MAKEFILE.index("\ncheck:") :].split("\n\n")[0].replace("$(PACKAGE)", "airflow_provider_lofty")
    assert repository["repo"] == "local"
    assert len(repository["hooks"]) == 3
    for hook in repository["hooks"]:
        assert hook["entry"] in recipe


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_forms_for_issues_are_whole(path: Path) -> None:
    form = read(path)
    assert {"name", "description", "body"} <= set(form)
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    ids = [field["id"] for field in fields]
    assert len(set(ids)) == len(ids) > 1
    assert all(field["attributes"]["label"] for field in fields)
    assert any(field.get("validations", {}).get("required") for field in fields)


def test_the_form_for_what_went_wrong_asks_for_versions_task_and_log() -> None:
    form = read(ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml")
    required = {field["id"] for field in form["body"] if field.get("validations", {}).get("required")}
    assert {"versions", "task", "log"} <= required


def test_the_registry_shows_what_is_there() -> None:
    shown = read(ROOT / ".airflow-registry.yaml")
    info = get_provider_info()
    assert (shown["package-name"], shown["display-name"]) == (info["package-name"], info["name"])
    assert shown["description"] == info["description"]
    entries = [entry["module"] for kind in ("operators", "hooks", "other") for entry in shown[kind]]
    assert entries == [
        *(f"{there.__module__}.{there.__name__}" for there in (LoftyAddActivityOperator, LoftyHook)),
        *info["notifications"],
        f"{sandbox.__name__}.{sandbox.Sandbox.__name__}",
    ]


ANSWER = {"name": "requests", "version": "2.32.0", "vulns": []}
FLAW = {"id": "PYSEC-2026-1", "fix_versions": ["2.33.0"]}


@pytest.mark.parametrize(
    ("answers", "code", "said"),
    [
        ([ANSWER], 0, ""),
        ([], 0, "the registry says nothing about requests. THESE WERE NOT AUDITED"),
        ([{"name": "requests", "skip_reason": "not found"}], 0, "the registry says nothing about requests"),
        ([{**ANSWER, "vulns": [FLAW]}], 1, "requests 2.32.0: PYSEC-2026-1, fixed in 2.33.0"),
    ],
)
def test_an_audit_never_takes_silence_for_an_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answers: list[Any], code: int, said: str
) -> None:
    monkeypatch.setattr(audit, "named_packages", lambda: {"requests": "2.32.0"})
    monkeypatch.setattr(audit, "ask", lambda packages: answers)
    assert audit.main() == code
    printed = capsys.readouterr()
    assert said in printed.out + printed.err
    assert bool(said) == bool(printed.out + printed.err)


def test_an_audit_is_of_what_the_package_asks_for() -> None:
    assert {"apache-airflow", "requests", "uvicorn"} <= set(audit.named_packages())
    assert not {"pytest", "ruff", "airflow-provider-lofty"} & set(audit.named_packages())
