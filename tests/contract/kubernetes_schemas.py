"""The verdicts of Kubernetes' own schemas, and of those of custom resources."""

from functools import cache
from typing import Any

import jsonschema
import pytest

from contract.oracle import contract

utils = pytest.importorskip("kubernetes_validate.utils")
utils.schema_contents = cache(utils.schema_contents)  # it reads 2 MB for each object

Object = dict[str, Any]


def why_not(document: Any, minor: str) -> str | None:
    """Why the schema of a kind refuses an object; empty where it doesn't, None for a kind that
    it does not know."""
    if not isinstance(document, dict) or not all(
        isinstance(document.get(key), str) for key in ("apiVersion", "kind")
    ):
        return "it has no kind"
    group, _, version = document["apiVersion"].rpartition("/")
    name = f"{group}/{document['kind'].lower()}_{version}"
    custom = contract("crds.json.gz")["schemas"].get(name)
    if custom is not None:
        error = jsonschema.exceptions.best_match(
            jsonschema.Draft202012Validator(custom).iter_errors(document)
        )
        return str(error.message) if error else ""
    try:
        utils.validate(document, minor, strict=True)
    except (utils.SchemaNotFoundError, utils.VersionNotSupportedError, OSError):
        return None
    except utils.ValidationError as error:
        return str(error.message)
    return ""
