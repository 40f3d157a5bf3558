"""JSON Schema of the lab's files, for completion and hints in an editor.

``python -m homelab_lib.lab.json_schema`` writes ``data/lab.schema.json`` and
``data/catalog.schema.json`` anew. A file asks for it in its first line::

    # yaml-language-server: $schema=lab.schema.json
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from homelab_lib import paths
from homelab_lib.lab.catalog import Catalog
from homelab_lib.lab.lab import Lab

FILES: dict[str, type[BaseModel]] = {"lab.schema.json": Lab, "catalog.schema.json": Catalog}


class _Untitled(GenerateJsonSchema):
    """Without titles that only repeat a field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema(model: type[BaseModel]) -> str:
    """The JSON Schema of one file of a description, as text.

    A description may be spread over many files, so that no top-level key is required in each.
    """
    document = model.model_json_schema(schema_generator=_Untitled)
    document.pop("required", None)
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(dialect | document, indent=1, ensure_ascii=False) + "\n"


def write(folder: Path) -> list[Path]:
    """Write all schemas to a folder, and say where."""
    written = []
    for name, model in FILES.items():
        file = folder / name
        file.write_text(schema(model), encoding="utf-8")
        written.append(file)
    return written


if __name__ == "__main__":
    for file in write(paths.data()):
        print(file)
