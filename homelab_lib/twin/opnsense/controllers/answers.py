"""What every writing controller answers."""

from collections.abc import Iterable
from typing import Any

from homelab_lib.twin.opnsense.model import Message
from homelab_lib.twin.opnsense.nodes import Box
from homelab_lib.twin.opnsense.tree import Tree
from homelab_lib.twin.opnsense.visit import Visit

Answer = dict[str, Any]
FAILED: Answer = {"result": "failed"}


def validations(found: Iterable[Message], node: Box | None, root: str) -> Answer:
    """What is wrong as it is answered: a text, or a list once there is a second one.

    Parameters
    ----------
    found
        All that is wrong in the document.
    node
        The row it is about; None for all of it.
    root
        What it is called in the request.
    """
    told: dict[str, Any] = {}
    for message in found:
        if node is None:
            name = f"{root}.{message.key}"
        elif node.ref in message.key:
            name = message.key.replace(node.ref, root)
        else:
            continue
        before = told.get(name)
        if not before:
            told[name] = message.text
        elif not isinstance(before, list):
            told[name] = [before] if before == message.text else [before, message.text]
        elif message.text not in before:
            before.append(message.text)
    return {"result": "failed", "validations": told} if told else {}


def store(visit: Visit, tree: Tree, description: str = "") -> None:
    """Write a document into the configuration and save that."""
    tree.store()
    visit.save(description)
