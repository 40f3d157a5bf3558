"""The doors of the twin's Proxmox, knocked at by the words of a call."""

from typing import Any

from homelab_lib.twin.machine.program import Call, Reply


def called(node: Any, *argv: str) -> Reply:
    """What the twin makes of a call: its reply, with whatever it made taken away again."""
    reply: Reply = node.call(Call(tuple(argv))).finished()
    node.vms.clear()
    for store in node.stores.values():
        store.volumes.clear()
    return reply


def refused_by_schema(reply: Reply) -> bool:
    """Whether the schema refused a call; a fault of the twin's own is none of its answers."""
    said = reply.err.decode()
    assert "twin: fault" not in said, said
    return "400 " in said
