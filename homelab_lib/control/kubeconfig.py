"""kubectl's configuration on a client: our cluster's entries stand in it beside everybody else's.

An entry is ours if it says so: kubectl keeps ``extensions`` of a cluster, a user and a context
whatever it does to a file, and ours name the lab. The file itself stays its owner's.
"""

from collections.abc import Callable
from typing import Any

import yaml

from homelab_lib import yaml_safe
from homelab_lib.control.k3s import KUBECONFIG
from homelab_lib.control.linux import Account, File, places, read_file
from homelab_lib.control.linux.looking import FILE
from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import Host
from homelab_lib.secret import Secret

_KINDS = {"clusters": "cluster", "users": "user", "contexts": "context"}
_MARK = "homelab"
_HEAD = (("apiVersion", "v1"), ("kind", "Config"))

Entries = dict[str, dict[str, Any]]
"""Of each list in a kubeconfig the one entry that is ours."""


def of_server(host: Host, context: str, address: str, *, lab: str) -> Entries:
    """The server's own kubeconfig, under our names and with an address that others can reach.

    Parameters
    ----------
    host
        The server.
    context
        What cluster, user and context are called.
    address
        The API's address.
    lab
        The lab that the entries say they are of.

    Raises
    ------
    StepFailed
        The server's file is not what k3s writes.
    """
    text = read_file(host, KUBECONFIG, secret=True)
    try:
        document = yaml_safe.load(text)
        cluster = document["clusters"][0]["cluster"] | {"server": f"https://{address}:6443"}
        user = dict(document["users"][0]["user"])
    except (yaml_safe.BadYaml, KeyError, IndexError, TypeError, ValueError):
        raise StepFailed(
            f"{host.name}: {KUBECONFIG} is not what k3s writes",
            where=host.name,
            fix="restart k3s there: it writes the file anew",
        ) from None
    mark = {"extensions": [{"name": _MARK, "extension": {"lab": lab}}]}
    bodies = {
        "clusters": cluster,
        "users": user,
        "contexts": {"cluster": context, "user": context},
    }
    return {room: {"name": context, _KINDS[room]: body | mark} for room, body in bodies.items()}


def file(
    host: Host,
    path: str,
    account: Account,
    ours: Callable[[], Entries],
    context: str,
    *,
    lab: str,
) -> File:
    """The kubeconfig at `path` as it has to be so that it leads to our cluster, too.

    Parameters
    ----------
    host, path, account
        Where it is, and whose.
    ours
        Gives our entries; they hold a key and are shown nowhere.
    context
        What ours is called.
    lab
        The lab whose they are.

    Raises
    ------
    StepFailed
        It can't be read as a kubeconfig, or somebody else's entries have our names: we don't
        write over what we don't understand, nor over what is not ours.
    """
    place = places(host, [path])[0]
    text = ""
    if place.there is not None and place.there["kind"] == FILE and not place.obstacle:
        if place.there["size_bytes"] > yaml_safe.MAX_BYTES:
            raise _not_understood(host, path, f"it has {place.there['size_bytes']} bytes")
        text = read_file(host, path, secret=True, user=place.hand)
    try:
        whole = merged(text, ours())
    except yaml_safe.BadYaml as error:
        raise _not_understood(host, path, str(error)) from None
    except Foreign as error:
        raise StepFailed(
            f"{host.name}: {path} has {error} {context!r} that is not of lab {lab}; it was left "
            "alone",
            where=host.name,
            fix=f"give it another name (kubectl config rename-context {context} …, and the same "
            "for its cluster and user), or give the cluster another context in the lab",
        ) from None
    content = Secret(f"kubeconfig with context {context}", lambda: whole)
    what = f"context {context} into {path}"
    return File(
        host.name, path, content, "600", account.owner, what=what, adopt=True, lab=lab
    )  # fmt: skip


def _not_understood(host: Host, path: str, why: str) -> StepFailed:
    return StepFailed(
        f"{host.name}: {path} is not a kubeconfig that we understand: {why}; it was left alone",
        where=host.name,
        fix=f"look at it there, or move it away: mv {path} {path}.old",
    )


class Foreign(ValueError):
    """Somebody else's entry has our name; says of which kind it is."""


def merged(text: str, ours: Entries) -> str:
    """A kubeconfig with our entries put in.

    All else stays as it was written, but for comments; where nothing has to be put in, the text
    stays as it is.

    Raises
    ------
    BadYaml
        The text is not a kubeconfig.
    Foreign
        An entry of that name is not ours and is not the same.
    """
    plain = yaml_safe.load(text)
    root = yaml_safe.compose(text) if plain is not None else _node({})
    if not isinstance(plain, dict | None) or not isinstance(root, yaml.MappingNode):
        raise yaml_safe.BadYaml("it should have keys such as clusters and contexts")
    if "\ufffd" in text:
        raise yaml_safe.BadYaml("it is not all text in UTF-8")
    document: dict[str, Any] = plain or {}
    changed = False
    for room, kind in _KINDS.items():
        changed |= _put(root, document, room, kind, ours[room])
    if not changed:
        return text
    for key, value in (*_HEAD, ("current-context", ours["contexts"]["name"])):
        if not document.get(key):
            _set(root, key, _node(value))
    # PyYAML's "unicode" output loses some characters (U+0085); escapes it writes without fault.
    return str(yaml.serialize(root, Dumper=yaml.SafeDumper, width=2**16))


def _put(
    root: yaml.MappingNode, document: dict[str, Any], room: str, kind: str, ours: dict[str, Any]
) -> bool:
    """Put our entry into one of the lists; whether that changed anything."""
    entries = document.get(room) or []
    if not isinstance(entries, list) or not all(
        isinstance(each, dict) and isinstance(each.get(kind) or {}, dict) for each in entries
    ):
        raise yaml_safe.BadYaml(f"its {room} should be a list of entries with names")
    places = [at for at, each in enumerate(entries) if each.get("name") == ours["name"]]
    if len(places) > 1:
        raise Foreign(f"more than one {kind}")
    if not entries:
        _set(root, room, _node([ours]))
        return True
    if len(getattr(_child(root, room), "value", ())) != len(entries):
        raise yaml_safe.BadYaml(f"its {room} are merged from elsewhere")
    if not places:
        _child(root, room).value.append(_node(ours))
        return True
    there, wanted = entries[places[0]].get(kind) or {}, ours[kind]
    if _bare(there) == _bare(wanted):
        return False
    if _marks(there) != _marks(wanted):
        raise Foreign(f"a {kind}")
    _child(root, room).value[places[0]] = _node(ours)
    return True


def _bare(body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != "extensions"}


def _marks(body: dict[str, Any]) -> list[Any]:
    """What our extension says, as often as it is there."""
    extensions = body.get("extensions") or []
    if not isinstance(extensions, list):
        return []
    return [
        each.get("extension")
        for each in extensions
        if isinstance(each, dict) and each.get("name") == _MARK
    ]


def _node(value: Any) -> Any:
    """A value as nodes, each list and mapping on lines of its own."""
    text = yaml.safe_dump(value, sort_keys=False)
    return yaml.compose(text, yaml.SafeLoader)


def _child(root: yaml.MappingNode, key: str) -> Any:
    """The last value of a key, as loaders have it; None where there is none."""
    found = [value for name, value in root.value if name.value == key]
    return found[-1] if found else None


def _set(root: yaml.MappingNode, key: str, value: yaml.Node) -> None:
    kept = [pair for pair in root.value if pair[0].value != key]
    root.value = [*kept, (_node(key), value)]
