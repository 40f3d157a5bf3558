"""A backup server as the real one says it is."""

import json
import shlex
from contextlib import suppress
from typing import Any

from homelab_lib.answers import Shape, expected
from homelab_lib.lab.per_host import every
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.surroundings import Ask
from homelab_lib.twin.proxmox.archives import Archive
from homelab_lib.twin.proxmox.backup_server.manager import KEPT, enter_token, leaves, stands_on
from homelab_lib.twin.proxmox.backup_server.server import Manager, Ran, Unused

_BEGUN = 5  # the part of a task's name that says when it began
_JSON = ("--output-format", "json")
_STORES: Shape = [{"name": str, "path": str}]
_USERS: Shape = [{"userid": str}]
_TOKENS: Shape = [{"tokenid": str}]
_ACLS: Shape = [{"path": str, "ugid": str, "roleid": str, "propagate": bool}]
_JOBS: Shape = [{"id": str, "store": str}]
_PRUNE: Shape = [{"id": str, "last-run-endtime?": int, "last-run-state?": str}]
_NAMED: Shape = [{"name": str}]
_GC: Shape = [
    {"store": str, "last-run-endtime?": int, "last-run-state?": str, "pending-bytes?": int}
]
_STATUS: Shape = {"total": int, "used": int}
_SNAPSHOTS: Shape = [
    {
        "backup-type": str,
        "backup-id": str,
        "backup-time": int,
        "size?": int,
        "comment?": str,
        "fingerprint?": str,
        "protected?": bool,
        "verification?": {"state": str, "upid?": str},
    }
]


def seed_backup_server(machine: Machine, ask: Ask) -> None:
    """Ask a machine that the lab says is one what it is; one that is not yet has no such program.

    Parameters
    ----------
    machine, ask
        The twin's machine, and who asks the real one.
    """
    lab = machine.world.lab
    described = lab.backup_servers.get(machine.name)
    if described is None or not machine.up:
        return
    said = ask(machine.name, ("proxmox-backup-manager", "cert", "info"))
    if said is None or said[0]:
        leaves(machine)
        return
    server = machine.kept.get(KEPT) or stands_on(machine, "")
    shown = [line for line in said[1].splitlines() if line.startswith("Fingerprint (sha256): ")]
    server.fingerprint = shown[0].partition(": ")[2].strip() if shown else ""
    _forget(server)
    asking = _Asking(machine.name, ask)
    for row in asking.listed("datastore", "list", shape=_STORES):
        _store(machine, server, asking, row)
    for row in asking.listed("user", "list", shape=_USERS):
        if row["userid"] != "root@pam":
            server.users[row["userid"]] = row
    named = {(each.username or "").partition("!")[0] for each in every(lab.storages)
             if lab.backup_server_of(each) is described}  # fmt: skip
    for user in sorted(named | server.users.keys()):  # a token may be there before its user is
        for token in asking.listed("user", "list-tokens", user, shape=_TOKENS):
            enter_token(server, token["tokenid"], None)
            server.known[token["tokenid"]] = token
    server.acl += asking.listed("acl", "list", shape=_ACLS)
    for kind in ("prune", "verify"):
        for row in asking.listed(f"{kind}-job", "list", shape=_JOBS):
            server.jobs[kind][row["id"]] = row
    for kind, known in server.notifying.items():
        for row in asking.listed("notification", *kind.split(), "list", shape=_NAMED):
            known[row["name"]] = row
    for row in asking.api("/admin/prune", shape=_PRUNE):
        if "last-run-endtime" in row:
            state, ended_s = row.get("last-run-state", ""), float(row["last-run-endtime"])
            server.pruned[row["id"]] = Ran(ended_s, state)
    for row in asking.api("/admin/gc", shape=_GC):
        if "last-run-endtime" in row:
            state, ended_s = row.get("last-run-state", ""), float(row["last-run-endtime"])
            pending = row.get("pending-bytes", 0)
            server.ran[row["store"]] = Ran(ended_s, state, pending_bytes=pending)
            server.unused[row["store"]] = [Unused(pending, ended_s)]
    for name in server.rows:
        server.wait(machine, name)


def _forget(server: Manager) -> None:
    """What the lab says of it: the real one knows better."""
    for each in (server.rows, server.datastores, server.users, server.known, server.tokens):
        each.clear()
    server.awaited.clear()
    server.acl.clear()
    for rows in (*server.jobs.values(), *server.notifying.values()):
        rows.clear()


def _store(machine: Machine, server: Manager, asking: "_Asking", row: dict[str, Any]) -> None:
    name = row["name"]
    server.rows[name] = row
    path = f"/admin/datastore/{name}"
    status = asking.api(f"{path}/status", shape=_STATUS)
    server.full[name] = status["used"] / status["total"] if status["total"] else 1.0
    archives = server.datastores.setdefault(name, {})
    for each in asking.api(f"{path}/snapshots", shape=_SNAPSHOTS):
        if each["backup-type"] not in ("vm", "ct") or not each["backup-id"].isdecimal():
            continue  # of a machine that is no guest
        kind = "qemu" if each["backup-type"] == "vm" else "lxc"
        found = Archive(kind, int(each["backup-id"]), float(each["backup-time"]))
        found.size_bytes, found.notes = each.get("size", 0), each.get("comment", "")
        found.encrypted, found.protected = each.get("fingerprint", ""), each.get("protected", False)
        _looked_through(found, each.get("verification", {}))
        archives[found.server_name] = found


def _looked_through(found: Archive, told: dict[str, str]) -> None:
    """By which task, whose name says when it began."""
    found.verified, parts = told.get("state", ""), told.get("upid", "").split(":")
    if len(parts) > _BEGUN:
        with suppress(ValueError):
            found.verified_s = float(int(parts[_BEGUN], 16))


class _Asking:
    """Asks a server's programs for JSON."""

    def __init__(self, host: str, ask: Ask) -> None:
        self.host, self.ask = host, ask

    def listed(self, *words: str, shape: Shape) -> Any:
        """What `proxmox-backup-manager` lists."""
        return self._asked("proxmox-backup-manager", *words, shape=shape)

    def api(self, path: str, *, shape: Shape) -> Any:
        """What the API says."""
        return self._asked("proxmox-backup-debug", "api", "get", path, shape=shape)

    def _asked(self, *words: str, shape: Shape) -> Any:
        argv = (*words, *_JSON)
        said = self.ask(self.host, argv)
        if said is None or said[0]:
            why = said[2].strip() if said else "it could not be asked"
            raise ValueError(f"{shlex.join(argv)}: {why}")
        return expected(json.loads(said[1]), shape, host=self.host, line=shlex.join(argv))
