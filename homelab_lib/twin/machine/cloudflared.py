"""`cloudflared`: a tunnel that runs, and the rules of its configuration.

Sources: cloudflared's cmd/cloudflared/tunnel (ingress_subcommands.go, subcommands.go),
ingress/ingress.go for what it says of rules, and metrics/readiness.go.
"""

import json
from typing import Any
from urllib.parse import urlsplit

import yaml

from homelab_lib.twin.machine.entry import FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply

cloudflared_programs = Commands()

_CONNECTIONS = 4
_SCHEMES = ("http", "https", "tcp", "ssh", "rdp", "smb", "unix", "http_status")


@cloudflared_programs("cloudflared")
def cloudflared(machine: Machine, call: Call) -> Reply:
    """Its sub-commands that a runbook has a use for."""
    words, options, rest = [], dict[str, str](), iter(call.argv[1:])
    for word in rest:
        if word.startswith("--") and word != "--no-autoupdate":
            name, equals, value = word.partition("=")
            options[name] = value if equals else next(rest, "")
        elif not word.startswith("-"):
            words.append(word)
    if words == ["version"]:
        return Reply(0, "cloudflared version 2025.11.1 (built 2025-11-07-16:59 UTC)\n")
    if words == ["tunnel", "ingress", "validate"]:
        return _validate(machine, call, options.get("--config", ""))
    if words == ["tunnel", "run"]:
        return _run(machine, call, options)
    return Reply(1, stderr=f"cloudflared: the twin does not know {' '.join(words)}\n")


def _validate(machine: Machine, call: Call, path: str) -> Reply:
    why = _wrong(machine, call, path)
    if why:
        return Reply(1, stderr=f"Validation failed: {why}\n")
    return Reply(0, f"Validating rules from {path}\nOK\n")


def _wrong(machine: Machine, call: Call, path: str) -> str:
    """What is wrong with the rules in a configuration file; empty for nothing."""
    try:
        text = machine.files.read(call.path(path), machine.who(call)).decode()
        rules: Any = (yaml.safe_load(text) or {}).get("ingress")
    except FileError as error:
        return f"open {path}: {error.says.lower()}"
    except (yaml.YAMLError, AttributeError):
        return f"error parsing YAML in config file at {path}"
    if not rules:
        return "No ingress rules were defined in provided config (if any)"
    for number, rule in enumerate(rules, 1):
        service = str(rule.get("service", ""))
        scheme = urlsplit(service).scheme or service.partition(":")[0]
        if scheme not in _SCHEMES:
            return (
                f"{service} is an invalid address, please make sure it has a scheme and a hostname"
            )
        last = number == len(rules)
        if last and rule.get("hostname", "*") not in ("", "*"):
            return "The last ingress rule must match all URLs (i.e. it should not have a hostname)"
        if not last and rule.get("hostname", "*") in ("", "*") and "path" not in rule:
            return (
                f"Rule #{number} is matching the hostname '', but this will match every hostname, "
                f"meaning the rules which follow it will never be triggered."
            )
    return ""


def _run(machine: Machine, call: Call, options: dict[str, str]) -> Reply:
    """Connect, and say so where it is asked."""
    try:
        path = call.path(options.get("--token-file", ""))
        token = machine.files.read(path, machine.who(call)).decode().strip()
    except FileError as error:
        return Reply(1, stderr=f"Failed to read token file: {error.says.lower()}\n")
    if not token:
        return Reply(255, stderr="Provided Tunnel token is not valid.\n")
    port = int(options.get("--metrics", ":20241").rpartition(":")[2])

    def ready(path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        count = 0 if machine.world.internet(machine) else _CONNECTIONS
        said: dict[str, int | str] = {"status": 200 if count else 503, "readyConnections": count}
        said["connectorId"] = "00000000-0000-4000-8000-000000000001"
        return int(said["status"]), json.dumps(said).encode()

    machine.http[port] = ready
    machine.listeners[port] = lambda: True
    return Reply()
