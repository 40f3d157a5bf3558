"""JSON Schema of the lab's files, for completion and hints in an editor.

``python -m homelab_lib.lab.json_schema`` writes ``data/lab.schema.json`` and
``data/catalog.schema.json`` anew; ``homelab schema FOLDER`` writes them beside a lab, with the
names of its own parts. A file asks for one in its first line::

    # yaml-language-server: $schema=lab.schema.json

Where a part is named, the schema has the catalog's names, each with its title: an editor offers
them. It takes another name, too, since a part of one's own may be younger than the schema; `check`
knows them all.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from homelab_lib import paths
from homelab_lib.durable import replace
from homelab_lib.lab.catalog import Catalog
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.loader import load_catalog
from homelab_lib.lab.part import KINDS

FILES: dict[str, type[BaseModel]] = {"lab.schema.json": Lab, "catalog.schema.json": Catalog}


class _Untitled(GenerateJsonSchema):
    """Without titles that only repeat a field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema(model: type[BaseModel], catalog: Catalog) -> str:
    """The JSON Schema of one file of a description, as text.

    A description may be spread over many files, so that no top-level key is required in each.

    Parameters
    ----------
    model
        What the file holds: `Lab` or `Catalog`.
    catalog
        The parts whose names it is to offer.
    """
    document = model.model_json_schema(schema_generator=_Untitled)
    document.pop("required", None)
    names: dict[str, Any] = {}
    document = _offering(document, catalog, names)
    document["$defs"] |= names
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(dialect | document, indent=1, ensure_ascii=False) + "\n"


def write(folder: Path, catalog: Catalog) -> list[Path]:
    """Write all schemas to a folder, and say where."""
    written = []
    for name, model in FILES.items():
        file = folder / name
        replace(file, schema(model, catalog))
        written.append(file)
    return written


def _offering(node: Any, catalog: Catalog, names: dict[str, Any]) -> Any:
    """The same document, with the parts of a kind where one is to be named."""
    if isinstance(node, list):
        return [_offering(each, catalog, names) for each in node]
    if not isinstance(node, dict):
        return node
    if KINDS not in node:
        return {key: _offering(value, catalog, names) for key, value in node.items()}
    choices = []
    for kind in node[KINDS] or type(catalog).model_fields:
        parts = catalog.kind(kind)
        if parts:
            named = f"{kind}-in-the-catalog"
            titles = [part.title for part in parts.values()]
            names[named] = {"enum": list(parts), "enumDescriptions": titles}
            choices.append({"$ref": f"#/$defs/{named}"})
    rest = {key: value for key, value in node.items() if key not in (KINDS, "type")}
    return {"anyOf": [*choices, {"type": "string"}]} | rest


if __name__ == "__main__":
    for file in write(paths.data(), load_catalog()):
        print(file)
