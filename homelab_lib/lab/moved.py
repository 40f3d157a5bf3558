"""A file of the first version: what became of each key, said at its line.

What moved is put where it belongs now, so that the rest is read and checked in the same go.
"""

from collections.abc import Iterator

from homelab_lib.lab.document import Node, Problem, Steps

PER_HOST = {
    "pools": "pools",
    "datasets": "datasets",
    "nfs_shares": "NFS shares",
    "smb_shares": "SMB shares",
    "storages": "storages",
}
"""Rooms whose things stand under their machine, and what people call these things."""

Owners = dict[str, dict[str, str]]
"""Of each room, the machine of each thing whose name only one machine has."""
Edit = tuple[Steps, Node | None, str]
"""Where, what stands there now (None: nothing), and what is said of it (empty: said elsewhere)."""


def as_now(root: Node) -> tuple[Node, list[Problem]]:
    """The document in today's shape, and a problem for each key that isn't.

    Parameters
    ----------
    root
        The document.
    """
    problems: list[Problem] = []
    if not isinstance(root.value, dict):
        return root, problems
    written = root
    for room, kind in PER_HOST.items():
        node = root.child(room)
        if node is not None and isinstance(node.value, dict):
            root = root.with_node((room,), _under_hosts(room, kind, node, problems))
    owners = _owners(root)
    for edits in (_tiers, _services, _clusters, _decisions, _claims):
        for path, node, what in [*edits(root, owners)]:
            if what:
                problems.append(Problem(written.follow(path)[0].where, written.label(path), what))
            root = root.without(path) if node is None else root.with_node(path, node)
    return root, problems


def _items(node: Node | None) -> list[tuple[str | int, Node]]:
    if node is None:
        return []
    if isinstance(node.value, dict):
        return list(node.value.items())
    return list(enumerate(node.value)) if isinstance(node.value, list) else []


def _text(node: Node | None) -> str:
    return node.value if node is not None and isinstance(node.value, str) else ""


def _under_hosts(room: str, kind: str, node: Node, problems: list[Problem]) -> Node:
    """A room whose things carried their host as a key."""
    hosts: dict[str | int, Node] = {}
    for name, entry in node.value.items():
        host = _text(entry.child("host"))
        if not host:
            mine = hosts.get(name)
            if mine is not None and isinstance(entry.value, dict):
                entry = Node(mine.value | entry.value, mine.where)
            hosts[name] = entry
            continue
        what = f"{kind} are named per host now: write {room}.{host}.{name}, and no host in it"
        problems.append(Problem(entry.where, (room, name), what))
        there = hosts.get(host)
        below = there.value if there is not None and isinstance(there.value, dict) else {}
        hosts[host] = Node(below | {name: entry.without(("host",))}, entry.where)
    return Node(hosts, node.where)


def _owners(root: Node) -> Owners:
    owners: Owners = {}
    for room in PER_HOST:
        found: dict[str, list[str]] = {}
        for host, below in _items(root.child(room)):
            for name, _ in _items(below):
                found.setdefault(str(name), []).append(str(host))
        owners[room] = {name: hosts[0] for name, hosts in found.items() if len(hosts) == 1}
    return owners


def _named(path: Steps, node: Node, owners: dict[str, str], kind: str) -> Iterator[Edit]:
    """A reference from elsewhere by a name alone."""
    host = owners.get(_text(node))
    if host is not None:
        ref = f"{host}.{node.value}"
        what = f"{kind} are named per host now: write {ref}"
        yield path, Node(ref, node.where, ref), what


def _tiers(root: Node, owners: Owners) -> Iterator[Edit]:
    for name, tier in _items(root.child("tiers")):
        host, pools = tier.child("host"), tier.child("pools")
        if host is None:
            continue
        names = [f"{host.value}.{pool.value}" for _, pool in _items(pools)]
        what = f"a tier's machine is said with its pools now: write pools: [{', '.join(names)}]"
        yield ("tiers", name, "host"), None, what
        for (index, pool), ref in zip(_items(pools), names, strict=True):
            yield ("tiers", name, "pools", index), Node(ref, pool.where, ref), ""


def _services(root: Node, owners: Owners) -> Iterator[Edit]:
    for name, service in _items(root.child("services")):
        for index, dataset in _items(service.child("datasets")):
            path = ("services", name, "datasets", index)
            yield from _named(path, dataset, owners["datasets"], "datasets")


def _clusters(root: Node, owners: Owners) -> Iterator[Edit]:
    for name, cluster in _items(root.child("clusters")):
        path = ("clusters", name)
        server = cluster.child("server")
        if server is not None and cluster.child("servers") is None:
            what = f"a cluster may have several servers now: write servers: [{server.value}]"
            yield (*path, "server"), None, what
            yield (*path, "servers"), Node([server], server.where), ""
        share = cluster.follow(("storage_class", "share"))
        if share[1] == ("storage_class", "share"):
            yield from _named((*path, *share[1]), share[0], owners["nfs_shares"], "NFS shares")


def _path(path: Steps, node: Node, owners: Owners) -> Iterator[Edit]:
    """A dotted path of a decision or a claim."""
    room, _, rest = _text(node).partition(".")
    mine = owners.get(room, {})
    name = next((n for n in mine if rest == n or rest.startswith(f"{n}.")), None)
    if name is not None and not rest.startswith(f"{mine[name]}.{name}"):
        now = f"{room}.{mine[name]}.{rest}"
        yield path, Node(now, node.where, now), f"{room} are named per host now: write {now}"
    parts = _text(node).split(".")
    if parts[:1] == ["clusters"] and parts[2:3] == ["server"]:
        now = ".".join([*parts[:2], "servers", "0", *parts[3:]])
        what = f"a cluster may have several servers now: write {now}"
        yield path, Node(now, node.where, now), what


def _decisions(root: Node, owners: Owners) -> Iterator[Edit]:
    for index, decision in _items(root.child("decisions")):
        for place, change in _items(decision.child("changes")):
            target = change.child("path")
            if target is not None:
                path = ("decisions", index, "changes", place, "path")
                yield from _path(path, target, owners)


def _claims(root: Node, owners: Owners) -> Iterator[Edit]:
    for index, claim in _items(root.child("claims")):
        about = claim.child("about")
        if about is not None:
            yield from _about(("claims", index, "about"), about, owners)


def _about(path: Steps, node: Node, owners: Owners) -> Iterator[Edit]:
    for key, below in _items(node):
        here = (*path, key)
        if key == "pool":
            yield from _named(here, below, owners["pools"], "pools")
        elif key in ("path", "subject", "needs"):
            yield from _path(here, below, owners)
        else:
            yield from _about(here, below, owners)
