"""
What somebody sees who sets a connection up, starts a delivery, watches it and looks for the rows that failed.

It is one test, for its steps go on from each other in one Airflow; which of them failed stands in the traceback.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from support.standalone import Standalone

import airflow_provider_lofty
from airflow_provider_lofty.sandbox import Sandbox

pytestmark = [
    pytest.mark.skipif(
        find_spec("airflow.sdk.definitions.retry_policy") is None, reason="the pages of Airflow 3.1 are other ones"
    ),
]
DAG_RUN_MILLISECONDS = 240_000
LEADS = "https://crm.example.com/leads"
KEY_FIELDS = ("client_secret", "refresh_token")


@dataclass
class Walk:
    """
    Where the walk goes.

    :param run_id: of the Dag run that was started by hand
    """

    airflow: Standalone
    lofty: Sandbox
    reports: Path
    open_page: Callable[..., Any]
    keep: Callable[..., None]
    axe: Any
    run_id: str = ""

    @property
    def page_url(self) -> str:
        """The page of that run, by itself."""
        return f"{self.airflow.url}/lofty/rows/visits_to_lofty/{self.run_id}/send_to_lofty/-1"

    def check_access(self, page: Any) -> None:
        """Let axe look at a page as it is now."""
        found = self.axe.run(page)
        assert found.response["violations"] == [], found.generate_report()


# How wide the page is, and what reaches beyond the right edge of the screen: text may leave the box of its element.
WIDTH = """() => {
  const out = [];
  const nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  while (nodes.nextNode()) {
    const range = document.createRange();
    range.selectNode(nodes.currentNode);
    const { right } = range.getBoundingClientRect();
    if (right > document.documentElement.clientWidth) {
      out.push(`${nodes.currentNode.id || nodes.currentNode.nodeName} ${nodes.currentNode.textContent.slice(0, 60)}`);
    }
  }
  return [document.documentElement.scrollWidth, out];
}"""


def rows_of(page: Any) -> Any:
    """The tab, inside Airflow's page."""
    return page.frame_locator('iframe[title="Lofty rows"]')


def number(text: str) -> int:
    return int(re.sub(r"\D", "", text))


def connection_is_made_in_the_form_and_tested(walk: Walk) -> None:
    page = walk.open_page(height=1000)
    page.goto(f"{walk.airflow.url}/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    page.locator('input[name="connection_id"]').fill("lofty_default")
    kind = form.get_by_role("combobox").first
    kind.click()
    kind.fill("Lofty")
    page.get_by_role("option", name="lofty").first.click()
    assert page.locator('input[name="host"]').get_attribute("placeholder") == "https://api.lofty.com"
    page.locator('input[name="host"]').fill(walk.lofty.url)
    page.locator('input[name="port"]').fill(walk.lofty.url.rpartition(":")[2])
    key = page.locator('input[name="password"]')
    assert key.get_attribute("type") == "password"
    key.fill(walk.lofty.settings.api_key)
    form.get_by_text("Extra Fields", exact=True).click()
    form.get_by_text("For client_credentials and refresh_token: of the registered app.").first.wait_for()
    for name in KEY_FIELDS:
        assert page.locator(f'input[name="element_{name}"]').get_attribute("type") == "password"
    page.wait_for_timeout(500)  # the fields unfold
    walk.keep(page, "connection-form", readme=True)
    page.locator('input[name="element_lead_url"]').fill(f"{LEADS}/{{lead_id}}")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Test Connection").click()
    told = page.get_by_text("Lofty accepts the credential of")
    told.wait_for()
    assert "400 requests a minute" in told.inner_text()
    assert walk.lofty.settings.api_key not in page.content()
    walk.keep(page, "connection-tested")


def delivery_is_watched_while_it_runs(walk: Walk) -> None:
    walk.airflow.ask("GET", "/api/v2/dags/visits_to_lofty")  # it is found by now
    page = walk.open_page()
    page.goto(f"{walk.airflow.url}/dags/visits_to_lofty")
    page.get_by_role("button", name="Trigger").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Trigger").click()
    page.wait_for_url(re.compile("/runs/manual"))
    walk.run_id = page.url.split("/runs/")[1].strip("/")
    page.goto(f"{walk.airflow.url}/dags/visits_to_lofty/runs/{walk.run_id}/tasks/send_to_lofty")
    page.get_by_role("link", name="Lofty rows").or_(page.get_by_role("tab", name="Lofty rows")).first.click()
    tab = rows_of(page)
    done = tab.locator("#done")
    done.get_by_text(re.compile(r"^[1-9]\d* of 160 rows done")).wait_for()
    first = number(done.inner_text().partition(" of ")[0])
    done.get_by_text(re.compile(rf"^(?!{first} )\d+ of 160 rows done")).wait_for()  # it refreshes itself
    assert number(done.inner_text().partition(" of ")[0]) > first
    tab.get_by_text(re.compile(r"^400, \d+ % used$")).wait_for()
    tab.get_by_text("time left, about").wait_for()
    tab.locator("#outcomes").get_by_text("delivered", exact=True).wait_for()
    tab.locator("#groups tr", has_text="leadId").get_by_text("Correct the field at its source").wait_for()
    tab.get_by_text("The others are being sent.").wait_for()
    walk.keep(page, "tab-while-it-runs", readme=True)
    tab.locator("#state").get_by_text("failed").wait_for(timeout=DAG_RUN_MILLISECONDS)


def failed_rows_are_found_from_the_red_task(walk: Walk) -> None:
    page = walk.open_page(height=1000)
    page.goto(f"{walk.airflow.url}/dags/visits_to_lofty/runs/{walk.run_id}/tasks/send_to_lofty/plugin/lofty-rows")
    tab = rows_of(page)
    tab.get_by_role("heading", name="11 of 160 rows failed, more than max_failed_rows=0 allows").wait_for()
    names, counts = (tab.locator(f"#outcomes {which}").all_inner_texts() for which in (".outcome", "strong"))
    assert dict(zip(names, map(number, counts), strict=True)) == {"delivered": 149, "invalid": 8, "rejected": 3}
    assert tab.locator("#chart").get_attribute("aria-label") == "149 delivered, 8 invalid, 3 rejected"
    assert "quota used" in tab.locator("#facts").inner_text()
    group = tab.locator("#groups tr", has_text="20006")
    assert "Look the lead up in Lofty" in group.inner_text()
    tab.locator("#list tr").nth(10).wait_for()
    assert tab.locator("#list tr").count() == 11
    assert tab.locator("#list tr").nth(1).locator(".failing").inner_text().split() == ["lead_id", "unknown"]
    walk.keep(page, "tab-after-it-failed", readme=True)
    tab.get_by_text("Send the failed rows again").click()
    assert (tab.locator("#again-dag").get_attribute("href") or "").endswith("/dags/lofty_send_report")
    assert list(json.loads(tab.locator("#again .mono").inner_text())) == ["report"]
    tab.get_by_text("Send the failed rows again").click()

    group.get_by_role("button", name="Show rows").click()
    tab.locator("#found").get_by_text("3 rows").wait_for()
    leads = tab.locator("#list td[data-label=Lead]").all_inner_texts()
    assert leads == ["9003", "9025", "9100"]
    tab.locator("#outcome").select_option("")
    tab.locator("#text").fill("sample agent 2")
    tab.locator("#found").get_by_text("32 rows").wait_for()
    tab.locator("#list [aria-expanded]").first.click()
    tab.get_by_text("<script>document.title='run'</script>").first.wait_for()
    assert page.title() != "run"
    tab.locator("#text").fill("")
    tab.locator("#found").get_by_text("160 rows").wait_for()
    tab.locator("#next").click()
    tab.get_by_text("51–100 of 160").wait_for()
    tab.locator("#last").click()
    tab.get_by_text("151–160 of 160").wait_for()
    tab.locator("#page").fill("3")
    tab.locator("#page").press("Enter")
    tab.get_by_text("101–150 of 160").wait_for()
    tab.locator("[data-sort=lead]").click()
    tab.get_by_text("1–50 of 160").wait_for()
    assert tab.locator("#list td[data-label=Lead]").first.inner_text() == "9001"
    assert len(walk.lofty.activities) == 149


def report_is_downloaded(walk: Walk) -> None:
    page = walk.open_page()
    page.goto(f"{walk.airflow.url}/dags/visits_to_lofty/runs/{walk.run_id}/tasks/send_to_lofty/plugin/lofty-rows")
    with page.expect_download() as download:
        rows_of(page).get_by_role("link", name="Download report").click()
    (written,) = (file for file in walk.reports.iterdir() if file.name.startswith("visits_to_lofty"))
    assert download.value.suggested_filename == written.name
    content = Path(download.value.path()).read_bytes()
    assert content == written.read_bytes()
    assert len(list(csv.DictReader(content.decode().splitlines()))) == 160
    with page.expect_download() as download:
        rows_of(page).get_by_role("link", name="Download failed rows only").click()
    assert download.value.suggested_filename == written.name.replace(".csv", "__failed.csv")
    failed = list(csv.DictReader(Path(download.value.path()).read_text(encoding="utf-8").splitlines()))
    assert {row["lofty_outcome"] for row in failed} == {"invalid", "rejected"}
    assert len(failed) == 11


def link_to_some_rows_is_sent_to_a_colleague(walk: Walk) -> None:
    page = walk.open_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"{walk.airflow.url}/dags/visits_to_lofty/runs/{walk.run_id}/tasks/send_to_lofty/plugin/lofty-rows")
    tab = rows_of(page)
    tab.locator("#groups tr", has_text="20006").get_by_role("button", name="Show rows").click()
    tab.locator("[data-sort=lead]").click()
    tab.locator("[data-sort=lead]").click()
    tab.locator("#text").fill("Sample Agent")
    tab.get_by_role("button", name="Copy link").click()
    tab.get_by_text("Copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    assert re.fullmatch(
        re.escape(unquote(walk.page_url)) + r"\?try=1#outcome=rejected&group=[0-9a-f]{16}&sort=-lead", unquote(link)
    )
    other = walk.open_page()
    other.goto(link)
    other.locator("#found").get_by_text("3 rows").wait_for()
    assert other.locator("#list td[data-label=Lead]").all_inner_texts() == ["9100", "9025", "9003"]
    assert other.locator("#outcome").input_value() == "rejected"
    other.get_by_text("Only: Lofty refused it").wait_for()
    other.locator("#outcomes button", has_text="invalid").click()
    other.locator("#found").get_by_text("8 rows").wait_for()
    assert other.url.endswith("#outcome=invalid&sort=-lead")
    other.locator("#chart span[title^=delivered]").click()
    other.locator("#found").get_by_text("149 rows").wait_for()
    other.goto(walk.page_url + "#outcome=%3Cscript%3E&group=../x&sort=constructor&text=ada")
    other.locator("#found").get_by_text("11 rows").wait_for()


def lead_opens_from_inside_airflow(walk: Walk) -> None:
    page = walk.open_page()
    page.context.route(f"{LEADS}/*", lambda route: route.fulfill(body="a lead"))
    page.goto(f"{walk.airflow.url}/dags/visits_to_lofty/runs/{walk.run_id}/tasks/send_to_lofty/plugin/lofty-rows")
    with page.context.expect_page() as opened:
        rows_of(page).locator("#list").get_by_role("link", name="9003").click()
    opened.value.get_by_text("a lead").wait_for()
    assert opened.value.url == f"{LEADS}/9003"


def extra_link_leads_to_the_rows(walk: Walk) -> None:
    page = walk.open_page()
    page.goto(f"{walk.airflow.url}/dags/visits_to_lofty/runs/{walk.run_id}/tasks/send_to_lofty/details")
    page.get_by_role("link", name="Lofty report").click()
    page.get_by_role("heading", name="11 of 160 rows failed").wait_for()
    assert page.url.endswith("/send_to_lofty/-1?try=1")


def page_fits_screen_and_theme(walk: Walk) -> None:
    for scheme, width in (("light", 1280), ("dark", 1280), ("light", 400), ("dark", 400)):
        page = walk.open_page(width, 800, color_scheme=scheme, timezone_id="America/Sao_Paulo")
        page.goto(walk.page_url)
        page.locator("#list tr").nth(9).wait_for()
        reached, out = page.evaluate(WIDTH)
        assert reached <= width, f"the page is wider than the screen: {out}"
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness = sum(map(int, re.findall(r"\d+", colour)[:3])) / 3
        assert (brightness > 200) is (scheme == "light")
        assert page.locator("#live").inner_text().endswith("GMT-3")
        walk.check_access(page)
        walk.keep(page, f"rows-{scheme}-{width}", full_page=True)


def everything_is_reached_by_keyboard(walk: Walk) -> None:
    page = walk.open_page()
    page.goto(walk.page_url)
    page.locator("#list tr").nth(9).wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "rows", "the first key stroke leads to the rows"
    page.reload()
    page.locator("#list tr").nth(9).wait_for()
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert {"skip", "download-failed", "download", "copy", "BUTTON", "outcome", "text", "SUMMARY"} <= set(reached)
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.locator("#outcome").focus()
    page.keyboard.type("rejected")
    page.locator("#found").get_by_text("3 rows").wait_for()
    page.locator("#list [aria-expanded]").first.focus()
    page.keyboard.press("Enter")
    page.get_by_text("Sample Agent").first.wait_for()


def running_delivery_is_listed_live(walk: Walk) -> None:
    walk.airflow.trigger("visits_in_tries", "twice")
    page = walk.open_page()
    page.goto(f"{walk.airflow.url}/lofty/rows/visits_in_tries/twice/send_to_lofty/-1")
    page.locator("#progress").wait_for()
    page.goto(f"{walk.airflow.url}/lofty/deliveries")
    line = page.locator("#list tr", has_text="visits_in_tries")
    line.wait_for()
    line.get_by_text("failed", exact=True).wait_for(timeout=DAG_RUN_MILLISECONDS)
    assert "try 2" in line.inner_text()


def tries_stand_side_by_side(walk: Walk) -> None:
    page = walk.open_page()
    page.goto(f"{walk.airflow.url}/lofty/rows/visits_in_tries/twice/send_to_lofty/-1")
    page.locator("#tries").get_by_text("Try 2: failed").wait_for(timeout=DAG_RUN_MILLISECONDS)
    page.locator("#state").get_by_text("failed").wait_for()
    page.get_by_text("LoftyDeliveryIncomplete").wait_for(state="attached")
    page.get_by_role("button", name="Try 1").click()
    page.locator("#outcomes").get_by_text("not_attempted").wait_for()
    page.locator("#list tr").nth(9).wait_for()
    walk.keep(page, "first-of-two-tries", full_page=True)


def mapped_tasks_are_listed_and_opened(walk: Walk) -> None:
    walk.airflow.trigger("shards_to_lofty", "mapped")
    page = walk.open_page()
    page.goto(f"{walk.airflow.url}/lofty/rows/shards_to_lofty/mapped/shard/-1")
    page.locator("#instances tr", has_text="failed").wait_for(timeout=DAG_RUN_MILLISECONDS)
    page.locator("#instances tr", has_text="success").wait_for(timeout=DAG_RUN_MILLISECONDS)
    walk.check_access(page)
    walk.keep(page, "mapped")
    page.get_by_role("link", name="1").click()
    page.get_by_text("shards_to_lofty / mapped / shard [1]").wait_for()
    page.get_by_role("heading", name="1 of 1 rows failed").wait_for()
    page.goto(f"{walk.airflow.url}/dags/shards_to_lofty/runs/mapped/tasks/shard/mapped/0/plugin/lofty-rows")
    rows_of(page).get_by_text("shards_to_lofty / mapped / shard [0]").wait_for()


def deliveries_are_listed_across_runs(walk: Walk) -> None:
    page = walk.open_page(height=640)
    page.goto(walk.airflow.url)
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Lofty deliveries").click()
    frame = page.frame_locator('iframe[title="Lofty deliveries"]')
    mapped = frame.locator("#list tr", has_text="shard [1]")
    mapped.wait_for()
    walk.keep(page, "deliveries", readme=True)
    frame.locator("#outcome").focus()
    page.keyboard.type("rejected")
    mapped.wait_for(state="detached")
    line = frame.locator("#list tr", has_text="149 delivered, 8 invalid, 3 rejected")
    line.get_by_role("link").focus()
    page.keyboard.press("Enter")
    rows_of(page).get_by_role("heading", name="11 of 160 rows failed").wait_for()
    assert unquote(page.url).endswith(f"/runs/{unquote(walk.run_id)}/tasks/send_to_lofty/plugin/lofty-rows")

    page = walk.open_page(400, 800, color_scheme="dark")
    page.goto(f"{walk.airflow.url}/lofty/deliveries")
    page.locator("#dag").select_option("shards_to_lofty")
    page.locator("#list tr", has_text="visits_to_lofty").first.wait_for(state="detached")
    page.locator("#list").get_by_text("shard [1]").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400, "the page is wider than the screen"
    walk.keep(page, "deliveries-dark-400", full_page=True)


def asset_event_carries_the_counts(walk: Walk) -> None:
    events = walk.airflow.ask("GET", "/api/v2/assets/events?source_dag_id=shards_to_lofty")["asset_events"]
    assert [event["extra"]["delivered"] for event in events if event["source_map_index"] == 0] == [10]


STEPS = (
    connection_is_made_in_the_form_and_tested,
    delivery_is_watched_while_it_runs,
    failed_rows_are_found_from_the_red_task,
    report_is_downloaded,
    link_to_some_rows_is_sent_to_a_colleague,
    lead_opens_from_inside_airflow,
    extra_link_leads_to_the_rows,
    page_fits_screen_and_theme,
    everything_is_reached_by_keyboard,
    running_delivery_is_listed_live,
    tries_stand_side_by_side,
    mapped_tasks_are_listed_and_opened,
    deliveries_are_listed_across_runs,
    asset_event_carries_the_counts,
)


def test_walk(
    airflow: Standalone,
    practice: Sandbox,
    reports: Path,
    open_page: Callable[..., Any],
    keep: Callable[..., None],
    axe: Any,
) -> None:
    walk = Walk(airflow, practice, reports, open_page, keep, axe)
    for step in STEPS:
        step(walk)


def test_the_wheel_is_what_was_seen() -> None:
    """Where ``make test-browser`` runs this, the provider comes from its wheel and not from the checkout."""
    if os.environ.get("LOFTY_FROM_WHEEL"):
        assert "site-packages" in airflow_provider_lofty.__file__
