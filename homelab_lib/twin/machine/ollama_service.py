"""`ollama serve` as a service of a machine: it answers on a port, and writes into the journal.

Source: ollama/ollama docs/linux.mdx, envconfig/config.go.
"""

import json
from collections.abc import Sequence

from homelab_lib.twin.machine.graphics_drivers import cards
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.ollama import Server, discover
from homelab_lib.twin.machine.ollama_real import remembered
from homelab_lib.twin.machine.program import Call, Commands, Reply

ollama_programs = Commands()

PROGRAM = "/usr/local/bin/ollama"
_UNIT = "ollama"


@ollama_programs("ollama")
def ollama(machine: Machine, call: Call) -> Reply:
    """The server, started by systemd."""
    entry = machine.files.entry(PROGRAM)
    unit = machine.units.get(_UNIT)
    if entry is None:
        return Reply(127, stderr="sh: 1: ollama: not found\n")
    if unit is None:
        return Reply(1, stderr=f"twin: its ollama is a service alone, not {call.argv}\n")
    if call.argv[1:] != ("serve",):
        port = int(call.env.get("OLLAMA_HOST", "127.0.0.1:11434").rpartition(":")[2])
        return client(machine.http.get(port), call.argv[1:])
    env = call.env
    port = int(env.get("OLLAMA_HOST", "127.0.0.1:11434").rpartition(":")[2])
    before = machine.http.get(port)
    if isinstance(before, Server):
        before.stop()
    version = entry.data.decode().strip()
    if not version and isinstance(before, Server):
        version = before.version  # of a real binary the digest alone is known
    driven = [
        each
        for vendor, module in (("NVIDIA", "nvidia"), ("AMD", "amdgpu"))
        if module in machine.modules
        for each in cards(machine, vendor)
    ]
    store = machine.kept.setdefault("ollama", {}).setdefault("systemd", {})
    # What is started here is the real one no more: it has another binary, say, and nothing loaded.
    found = machine.ask is not None and not unit.starts
    real = remembered(machine, f"http://127.0.0.1:{port}") if found else None
    if real is not None:
        store |= real.store
    machine.http[port] = Server(
        machine,
        _UNIT,
        real.version if real else version,
        dict(env),
        discover(driven, ("CUDA", "Vulkan"), env),
        store,
        lambda line: machine.log(unit.invocation, line),
        real.loaded if real else {},
        real is not None,
    )
    machine.listeners[port] = lambda: unit.active == "active"
    return Reply()


def client(server: object, words: Sequence[str]) -> Reply:
    """What the command line's `ollama` does of a server: its list, whether it has a model, and a
    model with an empty prompt, which loads it; one that is not there is pulled first."""
    if not isinstance(server, Server):
        return Reply(1, stderr="Error: ollama server not responding - could not connect\n")
    match list(words):
        case ["list"]:
            return Reply(0, "NAME    ID    SIZE    MODIFIED\n")
        case ["show", tag]:
            known = tag in server.store
            return Reply(
                0 if known else 1, stderr="" if known else f"Error: model '{tag}' not found\n"
            )
        case ["run", tag, ""] if server.runs_already:
            return Reply()  # the real one has done that when it started, or has not
        case ["run", tag, ""]:
            if tag not in server.store:
                server.answer("POST", "/api/pull", json.dumps({"model": tag}))
            status, body, takes_s = server.answer(
                "POST", "/api/generate", json.dumps({"model": tag})
            )
            why = "" if status == 200 else f"Error: {body.decode()}\n"
            return Reply(0 if status == 200 else 1, stderr=why, takes_s=takes_s)
    return Reply(1, stderr=f"twin: its ollama knows no {' '.join(words)}\n")
