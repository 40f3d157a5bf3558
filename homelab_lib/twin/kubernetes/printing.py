"""How `kubectl` prints objects: as JSON or YAML, by name, in a table."""

import json
import re
from collections.abc import Sequence
from typing import Any

import yaml

from homelab_lib.twin.kubernetes.objects import Kind, Object
from homelab_lib.twin.machine.program import Reply


def printed(document: Any, form: str) -> str:
    """A document as `-o json` and `-o yaml` print it."""
    if form == "json":
        return json.dumps(document, indent=4) + "\n"
    return yaml.safe_dump(document)


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows in columns, three blanks apart."""
    if not rows:
        return ""
    widths = [max(map(len, column)) + 3 for column in zip(*rows, strict=True)]
    lines = (
        "".join(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)) + row[-1]
        for row in rows
    )
    return "".join(f"{line}\n" for line in lines)


def show(found: list[Object], form: str, kind: Kind, *, alone: bool) -> Reply:
    """What `kubectl get` prints.

    Parameters
    ----------
    found
        The objects.
    form
        What ``-o`` says.
    kind
        Their kind.
    alone
        Whether one object was asked for, which is printed as itself and not in a list.
    """
    if form in ("json", "yaml"):
        whole: Object = {
            "apiVersion": "v1",
            "items": found,
            "kind": "List",
            "metadata": {"resourceVersion": ""},
        }
        return Reply(0, printed(found[0] if alone else whole, form))
    if form.startswith("jsonpath="):
        whole = {"items": found, "kind": "List"}
        return Reply(0, _at(found[0] if alone else whole, form.removeprefix("jsonpath=")))
    if form == "name":
        return Reply(0, "".join(f"{kind.singular}/{row['metadata']['name']}\n" for row in found))
    if form not in ("", "wide"):
        text = f'error: unable to match a printer suitable for the output format "{form}"'
        return Reply(1, stderr=f"{text}, allowed formats are: json,name,wide,yaml\n")
    if not found:
        return Reply(0, stderr="No resources found\n")
    rows = [("NAME", "STATUS"), *((row["metadata"]["name"], _status(row)) for row in found)]
    return Reply(0, table(rows))


def _at(document: Any, template: str) -> str:
    """What stands at the one place that a template names: ``{.data.tls\\.crt}``."""
    steps = re.split(r"(?<!\\)\.", template.strip().strip("{}"))[1:]
    for step in steps:
        name = step.replace("\\.", ".")
        document = document.get(name) if isinstance(document, dict) else None
    if document is None:
        return ""
    return document if isinstance(document, str) else json.dumps(document, separators=(",", ":"))


def _status(row: Object) -> str:
    status = row.get("status") or {}
    if row["kind"] == "Node":
        ready = [c["status"] for c in status.get("conditions", ()) if c["type"] == "Ready"]
        return "Ready" if ready == ["True"] else "NotReady"
    ready = status.get("readyReplicas", status.get("numberReady"))
    return str(status.get("phase") or (f"{ready} ready" if ready is not None else ""))
