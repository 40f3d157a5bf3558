"""Runs a long proof and writes down in `tests/PROOFS.md` what came of it, and at which commit.

``python tests/proof.py NAME -- PYTEST ARGUMENTS``. What is written there was run; the line of a
proof is replaced by that of its next run.
"""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

FILE = Path(__file__).with_name("PROOFS.md")
TOLD = "cut off "
"""What a line begins with that is kept besides the last."""
HEAD = """# Long proofs

What takes too long for every commit is run by hand, and its last result stands here.

| proof | commit | date | result |
| --- | --- | --- | --- |
"""


def with_result(text: str, name: str, commit: str, day: str, result: str) -> str:
    """The file's text in which one proof has a new line."""
    lines = [line for line in (text or HEAD).splitlines() if not line.startswith(f"| {name} |")]
    return "\n".join([*lines, f"| {name} | {commit} | {day} | {result} |"]) + "\n"


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], capture_output=True, text=True, check=True, cwd=FILE.parent
    ).stdout.strip()


def main(name: str, arguments: list[str]) -> int:
    """Run pytest, show what it prints, and keep its last line, and how often was cut off."""
    commit = _git("rev-parse", "--short", "HEAD")
    if _git("status", "--porcelain", "--untracked-files=no"):
        commit += " and changes"
    last, told = "", ""
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *arguments], stdout=subprocess.PIPE, text=True
    ) as ran:
        assert ran.stdout is not None
        for line in ran.stdout:
            print(line, end="", flush=True)
            last = line.strip() or last
            told = line.strip() if line.startswith(TOLD) else told
    result = "; ".join(filter(None, (re.sub(r"=+", "", last).strip(), told)))
    old = FILE.read_text() if FILE.exists() else ""
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    FILE.write_text(with_result(old, name, commit, day, result))
    return ran.returncode


if __name__ == "__main__":
    _, proof, _, *rest = sys.argv
    sys.exit(main(proof, rest))
