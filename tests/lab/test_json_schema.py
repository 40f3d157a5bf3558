"""Editors get the schema of the very classes that load the files."""

import json
from pathlib import Path

import jsonschema
import pytest

from homelab_lib import paths
from homelab_lib.lab.document import read
from homelab_lib.lab.json_schema import FILES, schema
from homelab_lib.lab.loader import load_catalog


@pytest.mark.parametrize("name", FILES)
def test_the_shipped_schemas_are_current(name):
    shipped = (paths.data() / name).read_text(encoding="utf-8")
    assert shipped == schema(FILES[name], load_catalog()), "run: homelab schema data"


FIRST = "# yaml-language-server: $schema="
YAML = sorted(paths.data().rglob("*.yaml"))


@pytest.mark.parametrize("file", YAML, ids=lambda file: str(file.relative_to(paths.data())))
def test_every_file_asks_for_a_schema_and_keeps_it(file: Path):
    first = file.read_text(encoding="utf-8").partition("\n")[0]
    assert first.startswith(FIRST)
    asked_for = (file.parent / first.removeprefix(FIRST)).resolve()
    assert asked_for.parent == paths.data().resolve()
    validator = jsonschema.Draft202012Validator(json.loads(asked_for.read_text(encoding="utf-8")))
    document = json.loads(json.dumps(read(file)[0].plain()))  # keys become text, as in an editor
    assert [f"{e.json_path}: {e.message}" for e in validator.iter_errors(document)] == []


@pytest.mark.parametrize("name", FILES)
def test_every_field_has_a_description(name):
    definitions = json.loads(schema(FILES[name], load_catalog()))
    records = [definitions, *definitions["$defs"].values()]
    bare = [
        f"{key} of {record.get('title')}"
        for record in records
        for key, field in record.get("properties", {}).items()
        if "description" not in field
    ]
    assert bare == []


def offered(definitions: dict, record: str, field: str) -> list[str]:
    """What an editor offers for a field: the names in the enums that its schema leads to."""

    def names(node: object) -> list[str]:
        if isinstance(node, list):
            return [name for each in node for name in names(each)]
        if not isinstance(node, dict):
            return []
        below = definitions["$defs"][node["$ref"].split("/")[-1]] if "$ref" in node else {}
        return [*node.get("enum", []), *below.get("enum", []), *names(node.get("anyOf"))]

    return names(definitions["$defs"][record]["properties"][field])


def test_an_editor_offers_the_parts_that_fit_with_their_titles():
    catalog = load_catalog()
    definitions = json.loads(schema(FILES["lab.schema.json"], catalog))
    assert offered(definitions, "Disk", "part") == list(catalog.disks)
    assert offered(definitions, "Host", "board") == [*catalog.boards, *catalog.systems]
    assert set(catalog.hbas) < set(offered(definitions, "Device", "part"))
    named = definitions["$defs"]["gpus-in-the-catalog"]
    assert named["enumDescriptions"] == [part.title for part in catalog.gpus.values()]
    assert set(offered(definitions, "Purchase", "part")) > {*catalog.cables, *catalog.models}
