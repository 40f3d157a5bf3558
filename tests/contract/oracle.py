"""What the real appliances say of themselves: data beside the project, and no part of it."""

import gzip
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("HOMELAB_CONTRACT", ROOT.parent / "shared" / "contract"))


def contract(name: str) -> Any:
    """A file of the contract: a document of JSON, or the rows where it is one of lines.

    Where it is missing, the test that asks is skipped (at import: the whole module) and says why.

    Parameters
    ----------
    name
        The file's name: ``qm-create.json``, ``truenas-calls.jsonl.gz``.
    """
    file = FOLDER / name
    if not file.exists():
        why = f"the appliances' own data is not here: {name}; HOMELAB_CONTRACT says where it lies"
        pytest.skip(why, allow_module_level=True)
    return _parsed(file)


@cache
def _parsed(file: Path) -> Any:
    raw = file.read_bytes()
    text = (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode()
    if ".jsonl" in file.name:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    return json.loads(text)
