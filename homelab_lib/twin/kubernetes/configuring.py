"""`kubectl config`: what stands in a client's kubeconfig, and changes to it.

Source: kubernetes.io/docs/reference/kubectl/generated/kubectl_config; client-go
`tools/clientcmd`. Held against a real kubectl by a test.
"""

import json
import posixpath
from typing import Any

import yaml

from homelab_lib.twin.kubernetes.flags import Words
from homelab_lib.twin.kubernetes.kubeconfig import BODIES, Config, load, named
from homelab_lib.twin.kubernetes.objects import ApiError
from homelab_lib.twin.kubernetes.printing import printed, table
from homelab_lib.twin.machine.entry import FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Reply

_SECRET = ("client-key-data", "client-certificate-data", "certificate-authority-data")


def run(machine: Machine, call: Call, words: Words, path: str) -> Reply:
    """`kubectl config`.

    Raises
    ------
    ApiError
        In kubectl's words.
    """
    config = load(machine, call, path)
    verb, *names = words.operands[1:] or [""]
    match verb:
        case "current-context":
            if not config.get("current-context"):
                return Reply(1, stderr="error: current-context is not set\n")
            return Reply(0, f"{config['current-context']}\n")
        case "get-contexts":
            return _contexts(config, names, words)
        case "get-clusters" | "get-users":
            entries = config.get(verb.removeprefix("get-")) or ()
            return Reply(0, "NAME\n" + "".join(f"{each['name']}\n" for each in entries))
        case "view":
            return Reply(0, printed(_view(config, words), words.get("--output", "yaml")))
    if verb not in _CHANGES:
        text = f"error: unknown command \"{verb}\"\nSee 'kubectl config -h' for help and examples\n"
        return Reply(1, stderr=text)
    said, warning = _CHANGES[verb](config, names, words, path)
    text = yaml.safe_dump(_sorted(config))
    try:
        machine.files.mkdir(posixpath.dirname(path), machine.who(call), parents=True)
        machine.files.write(path, text, machine.who(call), mode=0o600)
    except FileError as error:
        raise ApiError("", f"error: open {path}: {error.says.lower()}") from None
    return Reply(0, said, warning)


def _sorted(config: Config) -> Config:
    """As client-go writes it: every list by its names."""
    whole: Config = {"apiVersion": "v1", "kind": "Config", "current-context": ""} | config
    for room in BODIES:
        entries = config.get(room)
        whole[room] = sorted(entries, key=lambda each: each["name"]) if entries else None
    return whole


def _contexts(config: Config, names: list[str], words: Words) -> Reply:
    entries = [e for e in config.get("contexts") or () if not names or e["name"] in names]
    missing = [name for name in names if named(config, "contexts", name) is None]
    complaint = "".join(f"error: context {name} not found\n" for name in missing)
    status = 1 if missing else 0
    if words.get("--output") == "name":
        return Reply(status, "".join(f"{each['name']}\n" for each in entries), complaint)
    current = config.get("current-context")
    rows: list[tuple[str, ...]] = [("CURRENT", "NAME", "CLUSTER", "AUTHINFO", "NAMESPACE")]
    if "--no-headers" in words:
        rows = []
    for each in sorted(entries, key=lambda each: each["name"]):
        body = each.get("context") or {}
        marked = "*" if each["name"] == current else ""
        parts = (body.get(key, "") for key in ("cluster", "user", "namespace"))
        rows.append((marked, each["name"], *parts))
    return Reply(status, table(rows), complaint)


def _view(config: Config, words: Words) -> Config:
    shown = json.loads(json.dumps(_sorted(config)))
    if "--minify" in words:
        name = words.get("--context") or shown.get("current-context") or ""
        context = named(shown, "contexts", name)
        if context is None:
            minify = "current-context must exist in order to minify"
            raise ApiError(
                "", f"error: cannot locate context {name}" if name else f"error: {minify}"
            )
        shown["current-context"] = name
        wanted = {
            "contexts": name,
            "clusters": context.get("cluster"),
            "users": context.get("user"),
        }
        for room, only in wanted.items():
            shown[room] = [each for each in shown[room] or () if each["name"] == only] or None
    if "--raw" in words or "--flatten" in words:
        return shown
    for room in ("clusters", "users"):
        for each in shown[room] or ():
            body = each.get(BODIES[room]) or {}
            for key in _SECRET:
                if body.get(key):
                    body[key] = "DATA+OMITTED"
            for key in ("token", "password"):
                if body.get(key):
                    body[key] = "REDACTED"
    return shown


def _use(config: Config, names: list[str], words: Words, path: str) -> tuple[str, str]:
    name = "".join(names[:1])
    if named(config, "contexts", name) is None:
        raise ApiError("", f'error: no context exists with the name: "{name}"')
    config["current-context"] = name
    return f'Switched to context "{name}".\n', ""


def _rename(config: Config, names: list[str], words: Words, path: str) -> tuple[str, str]:
    if len(names) != 2:
        raise ApiError("", "error: Unexpected args: you must specify two names")
    old, new = names
    if named(config, "contexts", old) is None:
        raise ApiError("", f'error: cannot rename the context "{old}", it\'s not in {path}')
    if named(config, "contexts", new) is not None:
        raise ApiError(
            "", f'error: cannot rename the context "{old}", the context "{new}" already exists in '
            f"{path}"
        )  # fmt: skip
    for each in config["contexts"]:
        if each["name"] == old:
            each["name"] = new
    if config.get("current-context") == old:
        config["current-context"] = new
    return f'Context "{old}" renamed to "{new}".\n', ""


def _put(config: Config, room: str, name: str, said: Config) -> bool:
    """Change an entry, or make it; whether it was there."""
    there = named(config, room, name)
    if there is not None:
        there.update(said)
        for each in config[room]:
            if each["name"] == name:
                each[BODIES[room]] = there
        return True
    config[room] = [*(config.get(room) or []), {"name": name, BODIES[room]: said}]
    return False


def _said(words: Words, *names: str) -> Config:
    return {name: words.get(f"--{name}") for name in names if f"--{name}" in words}


def _set_context(config: Config, names: list[str], words: Words, path: str) -> tuple[str, str]:
    name = config.get("current-context", "") if "--current" in words else "".join(names[:1])
    if not name:
        raise ApiError("", "error: you must specify a non-empty context name or --current")
    said = _said(words, "cluster", "user", "namespace")
    if named(config, "contexts", name) is None:
        said = {"cluster": "", "user": ""} | said
    verb = "modified" if _put(config, "contexts", name, said) else "created"
    return f'Context "{name}" {verb}.\n', ""


def _set_cluster(config: Config, names: list[str], words: Words, path: str) -> tuple[str, str]:
    name = "".join(names[:1])
    _put(config, "clusters", name, _said(words, "server", "certificate-authority"))
    return f'Cluster "{name}" set.\n', ""


def _set_user(config: Config, names: list[str], words: Words, path: str) -> tuple[str, str]:
    name = "".join(names[:1])
    _put(config, "users", name, _said(words, "token"))
    return f'User "{name}" set.\n', ""


def _delete(room: str) -> Any:
    kind = BODIES[room]

    def delete(config: Config, names: list[str], words: Words, path: str) -> tuple[str, str]:
        name = "".join(names[:1])
        if named(config, room, name) is None:
            raise ApiError("", f"error: cannot delete {kind} {name}, not in {path}")
        config[room] = [each for each in config[room] if each["name"] != name] or None
        warning = ""
        if room == "contexts" and config.get("current-context") == name:
            warning = (
                'warning: this removed your active context, use "kubectl config use-context" to '
                "select a different one\n"
            )
        return f"deleted {kind} {name} from {path}\n", warning

    return delete


_CHANGES: dict[str, Any] = {
    "use-context": _use,
    "use": _use,
    "rename-context": _rename,
    "set-context": _set_context,
    "set-cluster": _set_cluster,
    "set-credentials": _set_user,
    "delete-context": _delete("contexts"),
    "delete-cluster": _delete("clusters"),
    "delete-user": _delete("users"),
}
