"""Secrets that a whole run handles, with hosts that repeat them, are in nothing it leaves."""

import base64
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).resolve().parent.parent
CANARIES = {
    "env": "cänary \"env\" 'x' \\ §1-Zq7XvB",
    "file": "canary-file-one/8Kw2\nсекрет-two+9Lx3",
    "keyring": "canary&keyring=<5Mn4%Pq6>",
}
_KEYRING = """
from pathlib import Path
def get_password(service, user):
    return Path({file!r}).read_text() if (service, user) == ("canary", "bird") else None
"""
_CELLS = (
    "import sys; sys.path[:0] = {path!r}\n"
    "from pathlib import Path\n"
    "from homelab_lib.session import opening, run as session\n"
    "import canary_runbook\n"
    "book = canary_runbook.runbook({references!r}, Path({seen!r}))\n"
    "phase2 = session.named('phase2')\n"
    "session.named = lambda name: phase2\n"
    "opening.runbook = lambda lab, phase, key, part: book",
    'run = session.begin("canary", lab="data/examples/minipc")\nrun.plan()',
    'run.step("write")',
    'run.step("fail")',
)


def forms(text: str) -> dict[str, bytes]:
    """What to look for; written anew, for what is tried here must not be tried with itself."""
    raw = text.encode()
    found = {"plain": raw, "hex": raw.hex().encode(), "URL": quote(text, safe="").encode()}
    for ascii_only in (True, False):
        found[f"JSON {ascii_only}"] = json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode()
    found["repr"] = repr(text)[1:-1].encode()
    for skip in range(3):
        inner = base64.b64encode(raw[skip:])
        found[f"base64 {skip}"] = inner[: len(inner) // 4 * 4 - 4]
    for name in ("md5", "sha1", "sha256", "sha512"):
        found[name] = hashlib.new(name, raw).hexdigest().encode()
    return found


def test_the_search_finds_what_is_there():
    text = "abc" + CANARIES["env"]
    shown = f"{text} {json.dumps(text)} {base64.b64encode(text.encode()).decode()}".encode()
    hits = {name for name, form in forms(CANARIES["env"]).items() if form in shown}
    assert hits == {"plain", "JSON True", "base64 0"}


@pytest.fixture
def run(tmp_path):
    """What a run leaves, by where: record, notebook, state, terminal."""
    secret, ring = tmp_path / "private" / "token", tmp_path / "private" / "ring"
    secret.parent.mkdir()
    for file, text in ((secret, CANARIES["file"]), (ring, CANARIES["keyring"])):
        file.write_text(text)
        file.chmod(0o600)
    double = tmp_path / "double" / "keyring"
    double.mkdir(parents=True)
    (double / "__init__.py").write_text(_KEYRING.format(file=str(ring)))
    (double / "errors.py").write_text("class KeyringError(Exception): ...\n")
    references = {"env": "env:CANARY", "file": f"file:{secret}", "keyring": "keyring:canary/bird"}
    path = [str(ROOT), str(ROOT / "tests"), str(double.parent)]
    seen = tmp_path / "seen.json"
    cells = [c.format(path=path, references=references, seen=str(seen)) for c in _CELLS]
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "P", "language": "python"}
    nbformat.write(notebook, tmp_path / "in.ipynb")
    left = tmp_path / "left"
    left.mkdir()
    ran = subprocess.run(
        [sys.executable, "-m", "papermill", "--log-output", "in.ipynb", "left/out.ipynb"],
        cwd=tmp_path,
        env=os.environ
        | {
            "CANARY": CANARIES["env"],
            "PYTHONPATH": str(ROOT),
            "HOMELAB_REPORTS": str(left / "reports"),
            "HOMELAB_STATE": str(left / "state"),
        },
        capture_output=True,
    )
    (left / "stdout").write_bytes(ran.stdout)
    (left / "stderr").write_bytes(ran.stderr)
    assert b"nobody sees it" in ran.stderr, ran.stderr.decode()
    return left, json.loads(seen.read_text())


def test_no_canary_is_found(run):
    left, seen = run
    assert seen == []
    files = {file.relative_to(left).as_posix(): file for file in left.rglob("*") if file.is_file()}
    for name in ("journal.jsonl", "before.json", "after.json", "summary.json", "report.html"):
        assert any(file.endswith(name) for file in files), files
    found = [
        f"{scheme} as {form} in {name}"
        for name, file in files.items()
        for scheme, canary in CANARIES.items()
        for whole in (canary, *canary.splitlines())
        for form, text in forms(whole).items()
        if text in file.read_bytes()
    ]
    assert found == []
    journal = next(file for name, file in files.items() if name.endswith("journal.jsonl"))
    assert "•••" in journal.read_text(), "they were there to be masked"
