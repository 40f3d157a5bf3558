"""The small lab as a document, for a test to change, and what is made of it."""

import json
import shutil
from pathlib import Path

import jsonschema
import pytest
import yaml

from homelab_lib import paths
from homelab_lib.errors import LabError
from homelab_lib.lab import Lab, load_lab
from homelab_lib.lab.changes import changed

Written = tuple[Path, dict]
"""Where a lab is to be, and its document."""

MINIPC = paths.data() / "examples" / "minipc"
SCHEMA = jsonschema.Draft202012Validator(
    json.loads((paths.data() / "lab.schema.json").read_text(encoding="utf-8"))
)


def small(folder: Path) -> Written:
    """The small lab in a folder, with its catalog there, to be written with `load`."""
    shutil.copytree(MINIPC / "catalog", folder / "catalog")
    return folder, yaml.safe_load((MINIPC / "lab.yaml").read_text())


def load(lab: Written) -> Lab:
    """The lab; an editor takes it as well, and written back it is the same."""
    folder, document = lab
    (folder / "lab.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    found = load_lab(folder)
    wrong = [each.message for each in SCHEMA.iter_errors(json.loads(json.dumps(document)))]
    assert wrong == [], "what loads, an editor takes, too"
    assert changed(found).model_dump() == found.model_dump(), "written back, it is the same lab"
    return found


def problems(lab: Written) -> list[str]:
    """What is wrong with it, without the places, each of which is in the file."""
    with pytest.raises(LabError) as caught:
        load(lab)
    assert all("lab.yaml:" in each for each in caught.value.problems)
    return [each.partition(": ")[2] for each in caught.value.problems]
