"""The table of coverage is made of the design's own text: what stands there as a task or as a row
has a step, a model, a rule, or the reason why none. A row that is added to it is a gap here."""

import re
from collections.abc import Iterator

import pytest

from contract.oracle import FOLDER
from homelab_lib.lab import load_lab
from recipes.test_coverage import leaves

pytestmark = pytest.mark.contract

DESIGN = FOLDER.parent / "reference" / "homelab-design.md"
LAB = load_lab()
_TASK = re.compile(r"( *)- \[ \] (.+)")
_RULE = re.compile(r"[|\s:-]+")


def sections() -> dict[str, list[str]]:
    """The lines below each heading, without those below the next one."""
    if not DESIGN.exists():
        pytest.skip(f"the design's own text is not here: {DESIGN.name}", allow_module_level=True)
    found: dict[str, list[str]] = {}
    for line in DESIGN.read_text().splitlines():
        if heading := re.fullmatch(r"#+ (.+)", line):
            found[heading[1]] = []
        elif found:
            list(found.values())[-1].append(line)
    return found


def tasks(lines: list[str]) -> Iterator[str]:
    """The tasks that have none below them."""
    found = [(len(each[1]), each[2]) for line in lines if (each := _TASK.fullmatch(line))]
    for (depth, title), (after, _) in zip(found, [*found[1:], (0, "")], strict=True):
        if after <= depth:
            yield title


def rows(lines: list[str]) -> Iterator[str]:
    """The rows of tables, without their heads."""
    for at, line in enumerate(lines):
        head = at + 1 < len(lines) and lines[at + 1].startswith("|") and _is_rule(lines[at + 1])
        if line.startswith("|") and not head and not _is_rule(line):
            yield line


def _is_rule(line: str) -> bool:
    return _RULE.fullmatch(line) is not None


TEXT = sections()
PHASES = [name for name in TEXT if re.match(r"Phase \d: ", name)]
TABLES = [(name, row) for name, lines in TEXT.items() for row in rows(lines)]


def test_the_text_is_read() -> None:
    assert len(PHASES) == 4
    assert sum(1 for name in PHASES for _ in tasks(TEXT[name])) == 24
    assert len(TABLES) == 106


@pytest.mark.parametrize("phase", PHASES)
def test_every_task_is_one_of_the_lab_and_covered(phase: str) -> None:
    number = int(phase.split()[1].rstrip(":"))
    known = {task.title: task.covered for each in LAB.phases if each.number == number
             for task in leaves(each.tasks)}  # fmt: skip
    assert list(tasks(TEXT[phase])) == list(known)
    assert [title for title, covered in known.items() if covered is None] == []


@pytest.mark.parametrize(("section", "row"), TABLES, ids=[row for _, row in TABLES])
def test_every_row_is_a_claim_and_covered(section: str, row: str) -> None:
    found = [claim for claim in LAB.claims if claim.section == section and claim.quote == row]
    assert len(found) == 1, "no claim quotes it"
    assert found[0].covered is not None, "name its step, model or rule, or why none"
