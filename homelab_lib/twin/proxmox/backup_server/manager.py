"""`proxmox-backup-manager`, and what of `proxmox-backup-debug` only asks the API.

Sources: proxmox-backup 3.2.4, src/bin/proxmox-backup-manager.rs and proxmox_backup_manager/* beside
it, pbs-client/src/task_log.rs (a task that fails ends the program with 255); what they take is 4's
API schema. Guessed: how long things last.
"""

import json
from collections.abc import Callable
from typing import Any

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.proxmox.backup_server.access import ROOT
from homelab_lib.twin.proxmox.backup_server.options import Given, Refused, parsed, wrong
from homelab_lib.twin.proxmox.backup_server.server import OWNER, Manager, Ran, snapshot_row
from homelab_lib.twin.proxmox.disks import identifier
from homelab_lib.twin.proxmox.node import ProxmoxNode

programs = Commands()
KEPT = "proxmox-backup"
VERSION = "4.1.1"
PORT = 8007
_PACKAGE = "proxmox-backup-server"
Work = Callable[[Machine, Manager, Given], Any]
_KNOWN: dict[str, Work] = {}


def _called(line: str) -> Callable[[Work], Work]:
    def register(work: Work) -> Work:
        _KNOWN[line] = work
        return work

    return register


def stands_on(machine: Machine, fingerprint: str) -> Manager:
    """Have a server stand on a machine: fresh from its installer, and found by the lab's nodes."""
    server = Manager(fingerprint=fingerprint)
    machine.kept[KEPT] = server
    machine.packages[_PACKAGE] = VERSION
    machine.listeners[PORT] = lambda: machine.up
    machine.accounts.add(OWNER)
    for node in machine.world.machines.values():
        if isinstance(node, ProxmoxNode):
            for address in machine.world.lab.addresses(machine.name):
                node.backup_servers[address] = server
    return server


def leaves(machine: Machine) -> None:
    """None stands there."""
    machine.kept.pop(KEPT, None)
    machine.packages.pop(_PACKAGE, None)


@programs("proxmox-backup-manager")
def manager(machine: Machine, call: Call) -> Reply:
    """Its sub-commands that a runbook has a use for."""
    if KEPT not in machine.kept or call.user != "root":
        why = "not found" if KEPT not in machine.kept else "Permission denied"
        return Reply(127 if why == "not found" else 126, stderr=f"sh: 1: {call.argv[0]}: {why}\n")
    lines = [" ".join(call.argv[1:end]) for end in (5, 4, 3)]
    line = next((each for each in lines if each in _KNOWN), lines[-1])
    if line not in _KNOWN:
        return Reply(255, stderr=f"Error: no such command '{line}'\n")
    server: Manager = machine.kept[KEPT]
    try:
        given = parsed(line, call.argv[1 + len(line.split()) :])
        form = given.pop("output-format", "text")
        said = _KNOWN[line](machine, server, given)
    except Refused as error:
        return Reply(255, stderr=f"Error: {error}\n")
    if isinstance(said, Reply):
        return said
    if said is None:
        return Reply()
    return Reply(0, said if isinstance(said, str) else _printed(said, form))


def _printed(said: Any, form: str) -> str:
    """JSON where it is asked for; nobody reads the tables."""
    return json.dumps(said, separators=(",", ":")) + "\n" if form != "text" else f"{said}\n"


# Datastores --------------------------------------------------------------------------------------


@_called("datastore list")
def _datastores(machine: Machine, server: Manager, given: Given) -> Any:
    return list(server.rows.values())


@_called("datastore create")
def _create(machine: Machine, server: Manager, given: Given) -> Any:
    name, path = given.pop("name"), given.pop("path")
    takes_s, boots = server.begin(machine, name, path), machine.boots

    def done() -> None:
        why = "interrupted" if machine.boots != boots else server.make(machine, name, path, given)
        ends.append(why)

    # The daemon makes it, whether anybody waits for it or not.
    ends: list[str] = []
    machine.world.after(takes_s, done, label=f"datastore {name}")

    def told() -> Reply:
        why = ends[0] if ends else "interrupted"
        log = "Chunkstore create: 1%\nChunkstore create: 99%\n"
        return _ended(why, log if why else f"{log}Access time update check successful.\n")

    return Reply(takes_s=takes_s + 1.0, finish=told)


@_called("datastore update")
def _update(machine: Machine, server: Manager, given: Given) -> Any:
    name = given.pop("name")
    _known_store(server, name)
    _changed(server.rows[name], given)
    server.wait(machine, name)


def _known_store(server: Manager, name: str) -> None:
    if name not in server.rows:
        raise Refused(f"no such datastore '{name}'")


@_called("garbage-collection start")
def _collect(machine: Machine, server: Manager, given: Given) -> Any:
    _known_store(server, given["store"])
    state = server.collect(machine, given["store"])
    return _ended("" if state == "OK" else state)


@_called("verify")
def _verify(machine: Machine, server: Manager, given: Given) -> Any:
    _known_store(server, given["store"])
    return _ended(server.look_through(machine, given))


def _ended(why: str, log: str = "") -> Reply:
    """How a task ends that somebody waits for."""
    if why:
        return Reply(255, f"{log}TASK ERROR: {why}\n", f"Error: task failed (status {why})\n")
    return Reply(0, f"{log}TASK OK\n")


@_called("task list")
def _tasks(machine: Machine, server: Manager, given: Given) -> Any:
    return [{"worker_type": "create-datastore", "worker_id": name} for name in server.working]


# Access ------------------------------------------------------------------------------------------


@_called("user list")
def _users(machine: Machine, server: Manager, given: Given) -> Any:
    others = [row for name, row in server.users.items() if name != ROOT]
    return [{"enable": True} | (server.user(ROOT) or {}), *others]


@_called("user create")
def _make_user(machine: Machine, server: Manager, given: Given) -> Any:
    if server.user(given["userid"]):
        raise Refused(f"user '{given['userid']}' already exists.")
    server.users[given["userid"]] = {"enable": True} | given


@_called("user list-tokens")
def _tokens(machine: Machine, server: Manager, given: Given) -> Any:
    whose = f"{given['userid']}!"
    return [row for name, row in server.known.items() if name.startswith(whose)]


@_called("user generate-token")
def _make_token(machine: Machine, server: Manager, given: Given) -> Any:
    user, name = given["userid"], given["token-name"]
    if f"{user}!{name}" in server.known:
        raise Refused(f"token '{name}' for user '{user}' already exists.")
    secret = identifier(machine)
    enter_token(server, f"{user}!{name}", secret)
    return f"Result: {json.dumps({'tokenid': f'{user}!{name}', 'value': secret}, indent=2)}\n"


def enter_token(server: Manager, token: str, secret: str | None) -> None:
    """Have a token known; None: whatever its secret is."""
    name = token.partition("!")[2]
    server.known[token] = {"tokenid": token, "token-name": name, "enable": True}
    server.tokens[token] = secret


@_called("acl list")
def _acls(machine: Machine, server: Manager, given: Given) -> Any:
    return server.acl


@_called("acl update")
def _grant(machine: Machine, server: Manager, given: Given) -> Any:
    whom = given.get("auth-id")
    if whom is None:
        raise Refused("missing 'userid' or 'group' parameter.")
    if given.get("delete"):
        server.take_away(given["path"], whom, given["role"])
        return
    if whom not in server.known and not server.user(whom):
        raise Refused(f"no such {'API token' if '!' in whom else 'user'}.")
    server.grant(given["path"], whom, given["role"], propagate=given.get("propagate", True))


# Jobs --------------------------------------------------------------------------------------------


def _jobs_of(kind: str) -> None:
    @_called(f"{kind}-job list")
    def listed(machine: Machine, server: Manager, given: Given) -> Any:
        return list(server.jobs[kind].values())

    @_called(f"{kind}-job create")
    def create(machine: Machine, server: Manager, given: Given) -> Any:
        if given["id"] in server.jobs[kind]:
            raise wrong([("id", f"job '{given['id']}' already exists.")])
        server.jobs[kind][given["id"]] = {}
        _changed(server.jobs[kind][given["id"]], given)
        server.wait(machine, given["store"])

    @_called(f"{kind}-job update")
    def update(machine: Machine, server: Manager, given: Given) -> Any:
        if given["id"] not in server.jobs[kind]:
            raise Refused(f"no such {kind} '{given['id']}'")
        _changed(server.jobs[kind][given["id"]], given)
        server.wait(machine, server.jobs[kind][given["id"]]["store"])


for _kind in ("prune", "verify"):
    _jobs_of(_kind)


# Who hears of it ---------------------------------------------------------------------------------


def _notifying(kind: str) -> None:
    @_called(f"notification {kind} list")
    def listed(machine: Machine, server: Manager, given: Given) -> Any:
        return list(server.notifying[kind].values())

    @_called(f"notification {kind} create")
    def create(machine: Machine, server: Manager, given: Given) -> Any:
        if any(given["name"] in each for each in server.notifying.values()):
            what = f"Cannot create '{given['name']}', an entity with the same name already exists"
            raise Refused(what)
        _fits(server, kind, given)
        row = {"origin": "user-created"}
        _changed(row, given)
        server.notifying[kind][given["name"]] = row

    @_called(f"notification {kind} update")
    def update(machine: Machine, server: Manager, given: Given) -> Any:
        row = server.notifying[kind].get(given["name"])
        if row is None:
            raise Refused(f"{kind.rpartition(' ')[2]} '{given['name']}' not found")
        changed = dict(row)
        _changed(changed, dict(given))
        _fits(server, kind, changed)
        server.notifying[kind][given["name"]] = changed


def _fits(server: Manager, kind: str, row: Given) -> None:
    if kind == "matcher":
        known = server.notifying["endpoint sendmail"]
        for target in row.get("target", ()):
            if target not in known:
                raise Refused(f"endpoint '{target}' does not exist")
    elif not row.get("mailto") and not row.get("mailto-user"):
        raise Refused("must at least provide one recipient, either in mailto or in mailto-user")


for _kind in ("endpoint sendmail", "matcher"):
    _notifying(_kind)


@_called("notification target test")
def _test(machine: Machine, server: Manager, given: Given) -> Any:
    if given["name"] not in server.notifying["endpoint sendmail"]:
        raise Refused(f"endpoint '{given['name']}' does not exist")
    server.send(given["name"], "Test notification")


def _changed(row: dict[str, Any], given: Given) -> None:
    """What is given anew and what is taken away; what is as by default is not written down."""
    for name in given.pop("delete", ()):
        row.pop(name, None)
    row |= given
    if row.get("disable") is False:
        del row["disable"]


# What it says of itself --------------------------------------------------------------------------


@_called("cert info")
def _cert(machine: Machine, server: Manager, given: Given) -> Any:
    return (
        f"Subject: O = Proxmox Backup Server, CN = {machine.name}\n    DNS:localhost\n"
        f"Issuer: O = Proxmox Backup Server, CN = {machine.name}\nValidity:\n"
        "    Not Before: Jan  1 00:00:00 2025 GMT\n    Not After : May  5 00:00:00 3024 GMT\n"
        f"Fingerprint (sha256): {server.fingerprint.lower()}\nPublic key type: rsaEncryption\n"
        "Public key bits: 4096\n"
    )


@_called("versions")
def _versions(machine: Machine, server: Manager, given: Given) -> Any:
    return [{"Package": "proxmox-backup-server", "Version": VERSION}]


@programs("proxmox-backup-debug")
def debug(machine: Machine, call: Call) -> Reply:
    """``api get``, of what is asked here."""
    if KEPT not in machine.kept or call.user != "root":
        return manager(machine, call)
    words = call.argv[1:]
    if words[:2] != ("api", "get") or len(words) < 3:
        return Reply(255, stderr=f"Error: no such command '{' '.join(words[:2])}'\n")
    server: Manager = machine.kept[KEPT]
    match words[2].strip("/").split("/"):
        case ["admin", "gc"]:
            return _json([_gc_row(server, name) for name in server.rows])
        case ["admin", "prune"]:
            return _json([job | _last(server.pruned.get(i)) for i, job in _prune_jobs(server)])
        case ["admin", "datastore", name, "status"] if name in server.rows:
            total = machine.root_bytes
            used = int(total * server.full.get(name, 0.1))
            return _json({"total": total, "used": used, "avail": total - used})
        case ["admin", "datastore", name, "snapshots"] if name in server.rows:
            owner = next(iter(server.tokens), "root@pam")
            return _json([snapshot_row(n, e, owner) for n, e in server.datastores[name].items()])
    return Reply(255, stderr=f"Error: no get handler defined for '{words[2]}'\n")


def _json(said: Any) -> Reply:
    return Reply(0, json.dumps(said, separators=(",", ":")) + "\n")


def _prune_jobs(server: Manager) -> list[tuple[str, dict[str, Any]]]:
    return [(name, {"id": name} | job) for name, job in server.jobs["prune"].items()]


def _last(ran: Ran | None) -> dict[str, Any]:
    """What came of a job that has run."""
    if ran is None:
        return {}
    return {"last-run-endtime": int(ran.ended_s), "last-run-state": ran.state}


def _gc_row(server: Manager, name: str) -> dict[str, Any]:
    ran: Ran | None = server.ran.get(name)
    row: dict[str, Any] = {"store": name, "disk-bytes": 0, "removed-bytes": 0, "pending-bytes": 0}
    if schedule := server.rows[name].get("gc-schedule"):
        row["schedule"] = schedule
    row |= _last(ran)
    if ran is not None:
        row |= {"removed-bytes": ran.removed_bytes, "pending-bytes": ran.pending_bytes}
    return row
