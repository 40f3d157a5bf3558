"""What the API says of a node's package sources and subscription, and changes of them.

Source: `PVE::API2::APT` and proxmox-apt (9.2): the standard sources have handles, by which they are
added; each stands in a file of its own, as deb822 since 9 and as a list before; a fresh
installation has the enterprise ones, which refuse whoever has no subscription.
"""

from typing import Any

from homelab_lib.twin.proxmox.api import Given, Later, Methods, Task
from homelab_lib.twin.proxmox.formats import BOOLEAN
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.schema import Property, PveError, flag
from homelab_lib.twin.proxmox.software import read_at

calls = Methods()

_UPDATE_S = 8.0
_FOLDER = "/etc/apt/sources.list.d"
_DIGEST = Property(max_length=80)
_STANDARD = {
    "enterprise": ("Enterprise", "https://enterprise.proxmox.com/debian/pve", "pve-enterprise"),
    "no-subscription": (
        "No-Subscription", "http://download.proxmox.com/debian/pve", "pve-no-subscription",
    ),
    "test": ("Test", "http://download.proxmox.com/debian/pve", "pve-test"),
}  # fmt: skip
"""By handle: what it is called, where it is, its component."""


def sources(version: str) -> list[dict[str, Any]]:
    """The files that a fresh installation of a release has.

    Parameters
    ----------
    version
        Of Proxmox VE: ``9.1.4``.
    """
    new = int(version.partition(".")[0]) >= 9
    suite, kind = ("trixie", "sources") if new else ("bookworm", "list")
    debian = {"http://deb.debian.org/debian": [suite, f"{suite}-updates"],
              "http://security.debian.org/debian-security": [f"{suite}-security"]}  # fmt: skip
    ceph = "ceph-squid" if new else "ceph-quincy"
    return [
        _file(f"{_FOLDER}/debian.sources" if new else "/etc/apt/sources.list", kind,
              [_source(kind, uri, suites, "main contrib") for uri, suites in debian.items()]),
        _file(f"{_FOLDER}/ceph.{kind}", kind,
              [_source(kind, f"https://enterprise.proxmox.com/debian/{ceph}", [suite],
                       "enterprise")]),
        _file(f"{_FOLDER}/pve-enterprise.{kind}", kind,
              [_source(kind, _STANDARD["enterprise"][1], [suite], "pve-enterprise")]),
    ]  # fmt: skip


def _file(path: str, kind: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    return {"path": path, "file-type": kind, "repositories": found, "digest": [0] * 32}


def _source(kind: str, uri: str, suites: list[str], components: str) -> dict[str, Any]:
    facts = {"Types": ["deb"], "URIs": [uri], "Suites": suites, "FileType": kind, "Enabled": 1}
    return facts | {"Components": components.split()}


def _standard(node: ProxmoxNode, handle: str) -> dict[str, Any] | None:
    """The source behind a handle; None where it is not there."""
    _, uri, component = _STANDARD[handle]
    return next(
        (
            each
            for file in node.sources
            for each in file["repositories"]
            if uri in each["URIs"] and component in each["Components"]
        ),
        None,
    )


@calls("GET", "/nodes/{node}/apt/repositories")
def _repositories(node: ProxmoxNode, given: Given) -> Any:
    node.learn("sources")
    rows = []
    for handle, (title, _, _) in _STANDARD.items():
        found = _standard(node, handle)
        row: dict[str, Any] = {"handle": handle, "name": title}
        rows.append(row | ({"status": int(flag(found["Enabled"]))} if found else {}))
    document = {"files": node.sources, "errors": [], "infos": [], "standard-repos": rows}
    return document | {"digest": "0" * 64}


@calls(
    "PUT", "/nodes/{node}/apt/repositories", {"digest": _DIGEST, "handle": Property(required=True)}
)
def _add(node: ProxmoxNode, given: Given) -> Any:
    node.learn("sources")
    handle = given["handle"]
    if handle not in _STANDARD:
        raise PveError(f"unknown repository handle '{handle}'")
    found = _standard(node, handle)
    if found is not None:
        found["Enabled"] = 1
        return
    _, uri, component = _STANDARD[handle]
    kind = "sources" if int(node.version.partition(".")[0]) >= 9 else "list"
    suite = "trixie" if kind == "sources" else "bookworm"
    path = f"{_FOLDER}/proxmox.sources" if kind == "sources" else "/etc/apt/sources.list"
    source = _source(kind, uri, [suite], component)
    file = next((each for each in node.sources if each["path"] == path), None)
    if file is None:
        node.sources.append(_file(path, kind, [source]))
    else:
        file["repositories"].append(source)


@calls(
    "POST",
    "/nodes/{node}/apt/repositories",
    {
        "digest": _DIGEST,
        "enabled": BOOLEAN,
        "index": Property("integer", required=True),
        "path": Property(required=True),
    },
)
def _change(node: ProxmoxNode, given: Given) -> Any:
    node.learn("sources")
    file = next((each for each in node.sources if each["path"] == given["path"]), None)
    if file is None:
        raise PveError(f"no repository file '{given['path']}'")
    place = int(given["index"])
    if not 0 <= place < len(file["repositories"]):
        raise PveError(f"invalid repository index {place}")
    if "enabled" in given:
        file["repositories"][place]["Enabled"] = int(given["enabled"])


@calls("GET", "/nodes/{node}/subscription")
def _subscription(node: ProxmoxNode, given: Given) -> Any:
    node.learn("sources")
    if node.subscribed:
        return {"status": "active", "level": "c", "productname": "Proxmox VE Community"}
    return {"status": "notfound", "message": "There is no subscription key", "serverid": "0" * 32}


@calls("POST", "/nodes/{node}/apt/update", {"notify": BOOLEAN, "quiet": BOOLEAN})
def _refresh(node: ProxmoxNode, given: Given) -> Any:
    node.learn("sources")
    upid = node.tasks.begin("aptupdate")
    refused = next(filter(None, (why_refused(node, each) for each in enabled(node))), "")

    def done() -> Task:
        if refused:
            failure = "command 'apt-get update' failed: exit code 100"
            node.tasks.end(upid, failure)
            return Task(upid, f"starting apt-get update\n{refused}\n", failure)
        for each in enabled(node):
            node.files.mkdir("/var/lib/apt/lists", parents=True)
            node.files.put(read_at(each), b"")
        node.tasks.end(upid)
        return Task(upid, "starting apt-get update\nReading package lists...\n")

    return Later(_UPDATE_S, done)


def enabled(node: ProxmoxNode) -> list[dict[str, Any]]:
    """Its package sources that are switched on."""
    return [s for file in node.sources for s in file["repositories"] if flag(s["Enabled"])]


def why_refused(node: ProxmoxNode, source: dict[str, Any]) -> str:
    """What `apt-get update` says of a source that can't be had; empty where it can."""
    uri = source["URIs"][0]
    if why := node.world.internet(node):
        return f"E: Failed to fetch {uri}  {why}"
    if "enterprise.proxmox.com" in uri and not node.subscribed:
        return f"E: Failed to fetch {uri}/dists/{source['Suites'][0]}/InRelease  401  Unauthorized"
    return ""
