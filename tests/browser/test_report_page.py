"""The page of a run, as a browser shows it: on a desk, on a phone, at night and on paper."""

import json
import re
import shutil
from pathlib import Path

import pytest

from homelab_lib import house_page, paths
from homelab_lib.lab import load_lab
from homelab_lib.runbook.plan import Plan, PlannedChange, PlannedHost
from homelab_lib.views.report import write_report

pytestmark = pytest.mark.browser
EXAMPLE = Path(__file__).resolve().parents[2] / "reports" / "example"

# What stands out of the page to the right, the drawings aside, which scale.
_OVER = """() => {
  const width = document.documentElement.clientWidth;
  const all = [...document.querySelectorAll('body *')].filter(e => !e.closest('svg'));
  return all.filter(e => e.getBoundingClientRect().right > width + 1).map(e => e.outerHTML);
}"""

# Each text with its colour and the colour of what it stands on.
_TEXTS = """() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; node = walker.nextNode();) {
    const element = node.parentElement;
    if (!node.textContent.trim() || element.closest('svg, style') || !element.checkVisibility())
      continue;
    let behind = element, paper = 'rgba(0, 0, 0, 0)';
    while (behind && paper === 'rgba(0, 0, 0, 0)') {
      paper = getComputedStyle(behind).backgroundColor;
      behind = behind.parentElement;
    }
    found.push([node.textContent.trim().slice(0, 60), getComputedStyle(element).color, paper]);
  }
  return found;
}"""

_LONG = "x" * 200  # what no line of a phone holds


def _contrast(one: str, other: str) -> float:
    """Source: WCAG 2.2, 'contrast ratio' and 'relative luminance'."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _destroying() -> Plan:
    host = PlannedHost("nas", "192.0.2.1", 22, "root", "SHA256:one")
    changes = (
        PlannedChange("share", "nas", "pool tank", "make pool tank anew", f"zpool create {_LONG}",
                      destroys=("pool tank",), rests="source"),
        PlannedChange("share", "nas", "file /etc/a", f"write /etc/a {_LONG}", "cat > /etc/a",
                      replaces="600 root:root", shows="b: 2",
                      difference=f"--- now\\n+++ then\\n-b: 1 {_LONG}\\n+b: 2", rests="guessed"),
    )  # fmt: skip
    return Plan("phase1", "lab", "0", "ssh", ("share",), (host,), changes)


@pytest.fixture(scope="module", params=["completed", "drift", "refused", "destroys"])
def page(request, tmp_path_factory):
    """Pages of runs that ended in different ways, made from the example's record."""
    folder = tmp_path_factory.mktemp(request.param)
    for name in ("summary.json", "plan.json", "journal.jsonl"):
        shutil.copy(EXAMPLE / name, folder / name)
    summary = json.loads((folder / "summary.json").read_text())
    if request.param == "drift":
        summary |= {"status": "drift", "mode": "verify"}
        step = summary["steps"][1]
        step["status"] = step["resources"][0]["status"] = "drift"
        step["resources"][0] |= {"wants": [f"write {_LONG}"], "sent": []}
    elif request.param == "refused":
        summary |= {"status": "refused", "error": f"the plan is stale\\n  where: {_LONG}"}
        summary["steps"] = [
            s | {"status": "not reached", "resources": []} for s in summary["steps"]
        ]
    elif request.param == "destroys":
        summary |= {"status": "planned", "mode": "plan", "target": "ssh", "evidence": "measured"}
        (folder / "plan.json").write_text(_destroying().to_json())
    (folder / "summary.json").write_text(json.dumps(summary))
    return write_report(folder)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """The page of the house, of which the example is the only run."""
    reports = tmp_path_factory.mktemp("reports")
    shutil.copytree(EXAMPLE, reports / "example")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMELAB_REPORTS", str(reports))
        return house_page.write(load_lab(str(paths.data())))


_ONE_WORD = """[...document.querySelectorAll("td span")].filter(e => /^[\\w-]+$/.test(e.innerText))
    .map(e => [e.innerText, e.getClientRects().length])"""


@pytest.mark.parametrize("width", [1280, 390, 320])
@pytest.mark.parametrize("theme", ["light", "dark"])
class TestLegible:
    """WCAG 2.2 AA: 1.4.10 (no sideways scrolling at 320 px), 1.4.3 (4.5 to 1)."""

    def test_nothing_stands_out_of_a_runs_page_and_all_text_is_told_from_its_paper(
        self, chromium, page, width, theme
    ):
        _legible(chromium, page, width, theme)

    def test_so_it_is_on_the_page_of_the_house(self, chromium, house, width, theme):
        _legible(chromium, house, width, theme)

    def test_no_word_of_how_far_a_task_is_breaks(self, chromium, house, width, theme):
        shown = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=theme)
        try:
            shown.goto(house.as_uri())
            assert shown.evaluate(_ONE_WORD), "there are some"
            assert [text for text, lines in shown.evaluate(_ONE_WORD) if lines > 1] == []
        finally:
            shown.close()


def _legible(chromium, page, width, theme):
    shown = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=theme)
    try:
        shown.goto(page.as_uri())
        shown.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        assert shown.evaluate(_OVER) == []
        texts = shown.evaluate(_TEXTS)
        assert len(texts) > 20
        faint = [text for text, ink, paper in texts if _contrast(ink, paper) < 4.5]
        assert faint == []
    finally:
        shown.close()


# Each cell that is shown below the head of its table, with the words before it; but for the first.
_CELLS = """() => [...document.querySelectorAll(".wide td:not(:first-child)")]
    .filter(e => e.checkVisibility() && e.innerText.trim())
    .map(e => [e.innerText, e.closest("table").querySelectorAll("th")[e.cellIndex].textContent,
               getComputedStyle(e, "::before").content.replaceAll('"', "").trim()])"""


def test_on_a_phone_that_shows_no_heads_each_cell_says_what_it_is(chromium, house):
    for width, named in ((390, True), (1280, False)):
        shown = chromium.new_page(viewport={"width": width, "height": 800})
        try:
            shown.goto(house.as_uri())
            cells = shown.evaluate(_CELLS)
            heads = shown.locator("th").first.is_visible()
        finally:
            shown.close()
        pills = ("rehearsed", "measured", "predicted")
        told = {head for text, head, before in cells if before == head}
        assert heads is not named
        assert ({"predicted", "found", "rests on", "when", "took"} <= told) is named
        if named:
            bare = [text for text, head, before in cells if before != head]
            assert [text for text in bare if text not in pills] == []


def _drawn(shown, count):
    """So many calls are drawn, as soon as styles are reckoned anew: of a toggle that is shut the
    content keeps its size, and is not drawn."""
    told = """count => [...document.querySelectorAll("#the-plan ~ .homelab details details code")]
        .filter(e => e.checkVisibility({contentVisibilityAuto: true})).length === count"""
    shown.wait_for_function(told, arg=count, timeout=10_000)


def test_on_paper_and_expanded_every_command_is_there(chromium, page):
    plan = Plan.from_json((page.parent / "plan.json").read_text(), where="")
    shown = chromium.new_page()
    try:
        shown.goto(page.as_uri())
        calls = shown.locator("#the-plan ~ .homelab details details code")
        assert calls.count() == len(plan.changes)
        _drawn(shown, 0)
        shown.emulate_media(media="print")
        _drawn(shown, len(plan.changes))
        assert shown.locator("body").inner_text().count(plan.changes[0].call) >= 1
        shown.emulate_media(media="screen")
        shown.locator("input.all").check()
        _drawn(shown, len(plan.changes))
    finally:
        shown.close()


def test_good_and_bad_are_told_apart_by_who_sees_no_red_or_green(chromium, page):
    """By blue against its absence, which dichromats of both common kinds see, in both themes."""
    for theme in ("light", "dark"):
        shown = chromium.new_page(color_scheme=theme)
        try:
            shown.goto(page.as_uri())
            style = "getComputedStyle(document.documentElement).getPropertyValue"
            colours = {n: shown.evaluate(f"{style}('--{n}')") for n in ("good", "warn", "bad")}
        finally:
            shown.close()
        red, blue = ({n: int(c[at : at + 2], 16) for n, c in colours.items()} for at in (1, 5))
        assert blue["good"] > red["good"]
        assert all(red[n] > blue[n] for n in ("warn", "bad"))


def test_what_came_of_it_and_what_is_destroyed_stand_above_the_rest(chromium, page):
    shown = chromium.new_page(viewport={"width": 1280, "height": 800})
    try:
        shown.goto(page.as_uri())
        assert shown.locator(".verdict").bounding_box()["y"] < 200
        danger = shown.locator(".danger")
        if danger.count():
            assert danger.evaluate("e => getComputedStyle(e).borderTopColor") == "rgb(198, 40, 40)"
            first = shown.locator("ul.changes").first.bounding_box()["y"]
            assert danger.bounding_box()["y"] < first
    finally:
        shown.close()
