"""Faults that were once in the engine and went unnoticed: each put in anew, some test fails.

Run by ``make test-mutants``, on a copy of the project.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.mutant

ROOT = Path(__file__).resolve().parent.parent
ENGINE, PLAN = "tests/runbook/test_engine.py", "tests/runbook/test_plan.py"
CASES, ON_TWIN = "tests/control/test_cases.py", "tests/control/test_on_twin.py"
_LEFT_OUT = (".git", ".venv", "__pycache__", ".*_cache", ".hypothesis", "reports")
_ENDLESS_S = 90  # one that never ends is noticed, too


@dataclass(frozen=True)
class Mutant:
    """A fault.

    Parameters
    ----------
    file
        The module of `homelab_lib` that it is in.
    right, wrong
        What stands there, and what stands there in its place.
    notices, only
        Where the tests are of which one has to fail, and words of their names.
    """

    file: str
    right: str
    wrong: str
    notices: str
    only: str


MUTANTS = {
    "stdin left out of a change's identity": Mutant(
        "runbook/plan.py", "self.resource, self.call, self.content]", "self.resource, self.call]",
        PLAN, "part_of_its_identity or two_changes_are_the_same",
    ),
    "any earlier failure waives the plan": Mutant(
        "runbook/foretold.py",
        'if change.identity in self._all and self._journal.outcome(change.identity) == "failed":',
        "if self._journal.touched(change.host, change.resource):",
        ENGINE, "a_failure_earlier",
    ),
    "a changed lab digest not refused": Mutant(
        "runbook/approval.py",
        '        ("lab\'s description", approved.lab_digest, fresh.lab_digest),\n', "",
        PLAN, "for_something_else",
    ),
    "a failing check in verify no drift": Mutant(
        "runbook/outcome.py",
        'if "drift" in found or not all(check.holds for check in self.checks):',
        'if "drift" in found:',
        ENGINE, "does_not_hold_is_drift",
    ),
    "the VM's ownership tag ignored": Mutant(
        "control/proxmox/made_guest.py",
        'return mark.tag(self.lab) in opts.tags(str(observed["config"].get("tags", "")))',
        "return True",
        CASES, "virtual_machine",
    ),
    "the release always 25.10": Mutant(
        "control/truenas/midclt.py", "    return found\n", "    return (25, 10)\n",
        ON_TWIN, "once_and_left",
    ),
    "drift of ro ignored": Mutant(
        "control/truenas/families.py", '        "ro": False,\n', "", CASES, "nfs_share",
    ),
    "a secret on a command line": Mutant(
        "runbook/promises.py", "if mask(change.call.line) != change.call.line:", "if False:",
        ENGINE, "secret_on_a_command_line",
    ),
    "endless lost replies": Mutant(
        "runbook/converge.py", "_LOST_REPLIES = 3", "_LOST_REPLIES = 10**3",
        ENGINE, "lost_without_end",
    ),
    "what was begun ignored": Mutant(
        "control/proxmox/made_guest.py",
        'if named or observed["task"] or not observed["begun"] or theirs:',
        'if named or observed["task"] or theirs:',
        CASES, "virtual_machine",
    ),
    "what somebody made is ours": Mutant(
        "control/truenas/row.py",
        "return not self.family.mark or mark.marks(row[self.family.mark], self.lab)",
        "return True",
        "tests/control/test_foreign_rows.py", "somebody_elses_row",
    ),
    "an answer cut before it is masked": Mutant(
        "runbook/host.py", "mask.cut(told, 2000, end=True)", "mask(told[-2000:])",
        "tests/control/test_unquoted.py", "no_half_of_a_secret",
    ),
    "a plan in its place before it is on the disk": Mutant(
        "durable.py", "            os.fsync(file.fileno())\n", "",
        "tests/test_durable.py", "only_once_all_of_it",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The project anew, of which a test may break what it mends again."""
    folder = tmp_path_factory.mktemp("mutants") / "project"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    return folder


def ended(copy: Path, only: str, *files: str) -> tuple[int, str]:
    """How pytest ended on tests of these names, and what it said."""
    words = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", only)
    # No code that was compiled before is used: a file may change within the second.
    env = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(
        [*words, *files],
        cwd=copy,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=_ENDLESS_S,
    )
    return ran.returncode, ran.stdout + ran.stderr


def test_without_any_of_them_all_is_well(copy):
    only = " or ".join(dict.fromkeys(each.only for each in MUTANTS.values()))
    status, said = ended(copy, only, *dict.fromkeys(each.notices for each in MUTANTS.values()))
    assert status == 0, said


@pytest.mark.parametrize("name", MUTANTS)
def test_it_is_noticed(copy, name):
    mutant = MUTANTS[name]
    file = copy / "homelab_lib" / mutant.file
    text = file.read_text()
    assert text.count(mutant.right) == 1, "the code has changed: put the fault in anew"
    file.write_text(text.replace(mutant.right, mutant.wrong))
    try:
        status, said = ended(copy, mutant.only, mutant.notices)
    except subprocess.TimeoutExpired:
        return
    finally:
        file.write_text(text)
    assert status == 1, f"nothing noticed it\n{said[-2000:]}"
    assert "failed" in said
