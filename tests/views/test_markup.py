"""Text of a lab, of a host and of a record somebody sent: shown as text, wherever it is shown."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from homelab_lib import paths
from homelab_lib.errors import HomelabError
from homelab_lib.lab import load_lab
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.outcome import ResourceOutcome, SentChange, StepOutcome
from homelab_lib.runbook.plan import Plan, PlannedChange, PlannedHost
from homelab_lib.runbook.record import summary
from homelab_lib.runbook.step import Check, Measurement
from homelab_lib.secret import Mask
from homelab_lib.views.cards import step_card
from homelab_lib.views.plan import plan_card
from homelab_lib.views.report import write_report
from homelab_lib.views.topology import topology

ROOT = Path(__file__).resolve().parents[2]
EVIL = (
    "</title></svg></pre><script>alert(1)</script><img src=x onerror=a()>'\"\x1b[2J\x00 $x^2$ -->"
)


class Tags(HTMLParser):
    """What a browser would take for elements, and those of their attributes that act."""

    def __init__(self, document):
        super().__init__()
        self.elements, self.acting = set(), []
        self.feed(document)

    def handle_starttag(self, tag, attributes):
        self.elements.add(tag)
        self.acting += [name for name, _ in attributes if name.startswith("on")]


def assert_harmless(document):
    found = Tags(document)
    assert not {"script", "img", "iframe", "object", "embed", "base"} & found.elements
    assert found.acting == []
    assert not re.search("[\x00-\x08\x0b-\x1f]", document)


def outcome(text):
    planned = PlannedChange(
        text, text, text, text, text, text, text, text, (text,), text, rollback=text
    )
    return StepOutcome(
        text,
        text,
        "failed",
        resources=[
            ResourceOutcome(text, text, sent=[SentChange(planned, text)]),
            ResourceOutcome(text, text, "drift", wants=[text]),
        ],
        planned=[planned],
        checks=[Check(text, False, text)],
        measurements=[Measurement(text, 1.0, text, 2.0)],
        note=text,
    )


def test_cards():
    card = step_card(outcome(EVIL), evidence=EVIL)
    assert_harmless(card.html)
    assert "\x1b" not in card.text
    planned = outcome(EVIL).planned
    host = PlannedHost(EVIL, EVIL, 22, EVIL, EVIL)
    plan = Plan(EVIL, EVIL, EVIL, EVIL, (EVIL,), (host,), tuple(planned), (EVIL,), EVIL, EVIL)
    card = plan_card(plan, approval=EVIL)
    assert_harmless(card.html)
    assert "\x1b" not in card.text


def _texts(value, path=()):
    """Paths of all texts in a document."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(item, (*path, key))
    elif isinstance(value, str):
        yield path


HEAD = dict.fromkeys(
    ("run_id", "runbook", "title", "lab", "target", "mode", "status", "started", "ended", "error"),
    "word",
)
SUMMARY = json.loads(
    json.dumps(
        summary(
            head=HEAD,
            plan=None,
            outcomes=[outcome("word")],
            evidence="rehearsed",
            journal=Journal(None, mask=Mask(), wall=lambda: "word"),
        )
    )
)
KINDS = {
    tuple("*" if isinstance(step, int) else step for step in path): path for path in _texts(SUMMARY)
}


def reported(folder, document):
    """The page and the drawing of a record with this summary; None where it is refused."""
    (folder / "summary.json").write_text(json.dumps(document))
    try:
        write_report(folder)
    except HomelabError:
        assert [file.name for file in folder.iterdir()] == ["summary.json"]
        return None
    return (folder / "report.html").read_text(), (folder / "timeline.svg").read_text()


def test_a_summary_as_we_write_it_is_a_page(tmp_path):
    page, drawing = reported(tmp_path, SUMMARY)
    assert "word" in page
    assert "word" in drawing


@pytest.mark.parametrize("kind", sorted(KINDS), ids=".".join)
def test_the_page_of_a_record_that_somebody_sent(tmp_path, kind):
    changed = json.loads(json.dumps(SUMMARY))
    *above, last = KINDS[kind]
    place = changed
    for step in above:
        place = place[step]
    place[last] = EVIL
    found = reported(tmp_path, changed)
    if found is None:  # a status that there is not
        assert last == "status"
        return
    for document in found:
        assert_harmless(document)
    ElementTree.fromstring(found[1])


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"steps": 3}', "null", '{"steps": [{}]}'])
def test_a_summary_that_is_none_is_no_traceback(tmp_path, text):
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(HomelabError, match="not one that we wrote"):
        write_report(tmp_path)


def test_the_drawing_of_a_lab_that_somebody_sent(tmp_path):
    shutil.copytree(ROOT / "data" / "examples" / "minipc", tmp_path / "lab")
    file = tmp_path / "lab" / "lab.yaml"
    text, count = re.subn(
        r"(?m)^( *title): .*$", lambda found: f"{found[1]}: {json.dumps(EVIL)}", file.read_text()
    )
    assert count > 1
    file.write_text(text)
    document = topology(load_lab(tmp_path / "lab")).document
    assert_harmless(document)
    texts = "".join(ElementTree.fromstring(document).itertext())
    assert "<script>alert(1)</script>" in texts
    assert "$x^2$" in texts, "no formula"


def test_a_title_that_our_font_lacks_is_drawn_without_a_word(tmp_path):
    """The text stays text: whoever shows the drawing has fonts of their own."""
    folder = shutil.copytree(paths.data() / "examples" / "minipc", tmp_path / "examples" / "lab")
    file = folder / "lab.yaml"
    file.write_text(file.read_text().replace("title: Mini-PC in", "title: 🏠👩‍💻 שלום in"))
    (tmp_path / "catalog").symlink_to(paths.data() / "catalog")
    assert "🏠👩‍💻 שלום" in topology(load_lab(folder)).document
