"""Snapshots of etcd: k3s takes them, `etcdctl` brings one back into a folder.

Sources: k3s-io/k3s pkg/etcd/snapshot.go (names, retention), pkg/cli/etcdsnapshot; etcd 3.5's
etcdctl/ctlv3/command/snapshot_command.go and etcdutl/snapshot (a file ends with its own SHA-256).
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.machine.entry import FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply

FOLDER = "/var/lib/rancher/k3s/server/db/snapshots"
SCHEDULED = "etcd-snapshot"
_KEEP, _EVERY_H = 5, 12
_LOG = 'time="{moment}" level={level} msg="{text}"\n'
_DIGEST_BYTES = 32

etcd_programs = Commands()


def snapshot(machine: Machine, cluster: Cluster | None, call: Call) -> Reply:
    """``k3s etcd-snapshot``."""
    words = [word for word in call.argv[2:] if not word.startswith("-")]
    verb = words[0] if words else ""
    if cluster is None or not cluster.runs_on(machine) or not cluster.answers():
        return _fatal(machine, "Error: see server log for details: dial tcp 127.0.0.1:6443: "
                      "connect: connection refused")  # fmt: skip
    if not _has_etcd(cluster):
        return _fatal(machine, "Error: see server log for details: etcd datastore disabled")
    _told_by_real(machine)
    if verb in ("ls", "list"):
        if "json" not in call.argv and "-o=json" not in call.argv:
            return Reply(1, stderr="twin: ask for -o json\n")
        return Reply(0, json.dumps(_listed(machine), separators=(",", ":")) + "\n")
    if verb != "save":
        return Reply(1, stderr=f"No help topic for '{verb}'\n")
    name = call.argv[call.argv.index("--name") + 1] if "--name" in call.argv else "on-demand"

    def done() -> Reply:
        file = take(machine, cluster, name)
        return Reply(0, _said(machine, "info", f"Snapshot {file} saved."))

    return Reply(takes_s=3.0, finish=done)


def _fatal(machine: Machine, text: str) -> Reply:
    return Reply(1, stderr=_said(machine, "fatal", text))


def _said(machine: Machine, level: str, text: str) -> str:
    moment = datetime.fromtimestamp(machine.now_s(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return _LOG.format(moment=moment, level=level, text=text)


def _has_etcd(cluster: Cluster) -> bool:
    """Whether its servers keep their state in etcd: they were begun so, or are several."""
    nodes = [document for (kind, *_), document in cluster.objects.items() if kind == "Node"]
    labels = [node["metadata"].get("labels", {}) for node in nodes]
    return any(each.get("node-role.kubernetes.io/etcd") == "true" for each in labels)


def take(machine: Machine, cluster: Cluster, name: str) -> str:
    """Take a snapshot; the name of its file."""
    file = f"{name}-{machine.name}-{int(machine.now_s())}"
    keys = "".join(f"{'/'.join(key)}\n" for key in sorted(cluster.objects))
    _put(machine, file, keys.encode())
    return file


def _put(machine: Machine, file: str, body: bytes) -> None:
    machine.files.put(f"{FOLDER}/{file}", body + hashlib.sha256(body).digest(), mode=0o600)


def schedule(machine: Machine, cluster: Cluster, config: dict[str, Any]) -> None:
    """Take one again and again while the server runs, and keep the newest few."""
    cron = str(config.get("etcd-snapshot-schedule-cron", "")).split()
    every_h = int(cron[1][2:]) if len(cron) > 1 and cron[1].startswith("*/") else _EVERY_H
    keep = int(config.get("etcd-snapshot-retention", _KEEP))
    unit = machine.units["k3s"]
    begun = unit.starts

    def due() -> None:
        if machine.units.get("k3s") is not unit or unit.starts != begun or not machine.up:
            return
        if unit.active == "active" and cluster.answers() and _has_etcd(cluster):
            take(machine, cluster, SCHEDULED)
            mine = f"{SCHEDULED}-{machine.name}-"
            names = [n for n in machine.files.listdir(FOLDER) if n.startswith(mine)]
            for old in sorted(names)[:-keep]:
                machine.files.remove(f"{FOLDER}/{old}")
        wait()

    def wait() -> None:
        period_s = every_h * 3600.0
        machine.world.after(period_s - machine.now_s() % period_s, due, label="etcd snapshot")

    wait()


def _told_by_real(machine: Machine) -> None:
    """What the real host behind a seeded machine has on its disk: names and times, no contents."""
    if machine.ask is None or "etcd" in machine.kept:
        return
    machine.kept["etcd"] = "asked"
    for row in machine.told("k3s", "etcd-snapshot", "ls", "-o", "json").get("items") or ():
        if row["spec"].get("location", "").startswith("file:"):
            _put(machine, row["spec"]["snapshotName"], b"as the real host has it\n")


def _listed(machine: Machine) -> dict[str, Any]:
    rows = []
    names = machine.files.listdir(FOLDER) if machine.files.is_dir(FOLDER) else []
    for name in names:
        stamp = name.rpartition("-")[2]
        moment = datetime.fromtimestamp(int(stamp) if stamp.isdecimal() else 0, UTC)
        entry = machine.files.stat(f"{FOLDER}/{name}")
        spec = {
            "snapshotName": name,
            "nodeName": machine.name,
            "location": f"file://{FOLDER}/{name}",
        }
        status = {
            "size": str(entry.size),
            "creationTime": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "readyToUse": True,
        }
        metadata = {"name": f"local-{name}", "creationTimestamp": None}
        rows.append({"metadata": metadata, "spec": spec, "status": status})
    return {"kind": "List", "apiVersion": "v1", "metadata": {}, "items": rows}


@etcd_programs("etcdctl")
def etcdctl(machine: Machine, call: Call) -> Reply:
    """A snapshot's facts, and its restore into a folder that is not there yet."""
    words, options, rest = [], dict[str, str](), iter(call.argv[1:])
    for word in rest:
        if word in ("-w", "--write-out", "--data-dir"):
            options[word] = next(rest, "")
        elif word.startswith("--"):
            name, _, value = word.partition("=")
            options[name] = value
        else:
            words.append(word)
    if words[:1] != ["snapshot"] or words[1:2] not in (["status"], ["restore"]) or len(words) < 3:
        return Reply(1, stderr=f'Error: unknown command {" ".join(words)!r} for "etcdctl"\n')
    try:
        data = machine.files.read(call.path(words[2]), machine.who(call))
    except FileError as error:
        return Reply(1, stderr=f"Error: stat {words[2]}: {error.says.lower()}\n")
    body, digest = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    keys = body.count(b"\n")
    if words[1] == "status":
        said = {"hash": int.from_bytes(digest[:4]), "revision": keys + 1, "totalKey": keys,
                "totalSize": len(body)}  # fmt: skip
        return Reply(0, json.dumps(said) + "\n")
    if hashlib.sha256(body).digest() != digest:
        return Reply(1, stderr=f"Error: expected sha256 {list(digest)}, got other\n")
    place = call.path(options.get("--data-dir", "default.etcd"))
    if machine.files.exists(place):
        return Reply(1, stderr=f'Error: data-dir "{place}" not empty or could not be read\n')
    machine.files.put(f"{place}/member/snap/db", body, mode=0o600)
    return Reply(takes_s=1.0)
