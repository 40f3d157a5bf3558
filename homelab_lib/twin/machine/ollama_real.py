"""What a real Ollama has, by its own API: of it a seeded twin's is made."""

import json
from dataclasses import dataclass

from homelab_lib.twin.machine.machine import Machine


@dataclass
class Remembered:
    """What a real server has.

    Parameters
    ----------
    version
        Its release.
    store, loaded
        The digests of its models by tag, and which are in memory.
    """

    version: str
    store: dict[str, str]
    loaded: dict[str, dict[str, int]]


def remembered(asks: Machine, url: str) -> Remembered | None:
    """What the real server behind a seeded twin has; None where none answers."""
    said = {}
    for path in ("version", "tags", "ps"):
        reply = asks.said("curl", "-sS", "-f", "-m", "30", f"{url}/api/{path}")
        if reply is None or reply.status:
            return None
        try:
            said[path] = json.loads(reply.out)
        except ValueError:
            return None
    loaded = {
        row["name"]: {
            "size": row["size"],
            "size_vram": row["size_vram"],
            "context": row.get("context_length", 0),
            "layers": 0,
        }
        for row in said["ps"].get("models", ())
    }
    store = {row["name"]: row["digest"] for row in said["tags"].get("models", ())}
    return Remembered(str(said["version"].get("version", "")), store, loaded)
