"""Every call that we plan with or read with, against the middleware's own models, by release.

Each resource of the control room makes, changes and finds its thing on a twin of the release; what
is sent and what is looked at in the answers is written down. A call in the source that none of them
sends fails too, so nothing is left out.
"""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import homelab_lib
from contract.carried_out import CarriedOut
from contract.oracle import contract
from contract.small_nas import small_nas
from contract.test_truenas_schemas import RELEASES, UNTOLD
from homelab_lib.control.truenas import cloud, families, iscsi, midclt, watching
from homelab_lib.control.truenas.acl import FolderAcl, ShareAccess
from homelab_lib.control.truenas.apps import App, AppsPool
from homelab_lib.control.truenas.backup import ConfigBackup
from homelab_lib.control.truenas.clock import time_server
from homelab_lib.control.truenas.composed import ComposedApp
from homelab_lib.control.truenas.dataset import ZfsDataset
from homelab_lib.control.truenas.interface import Bonded, NasInterface
from homelab_lib.control.truenas.interfaces import NasNetwork
from homelab_lib.control.truenas.service import NasService
from homelab_lib.control.truenas.settings import Settings
from homelab_lib.control.truenas.user import NasUser
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.recipes.nas import configuration, power, tasks
from homelab_lib.recipes.nas import truenas as nas
from homelab_lib.runbook.engine import Engine
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.sender import Sender
from homelab_lib.runbook.step import Runbook, Step
from homelab_lib.secret import Mask, Secret
from homelab_lib.transport.command import Result
from homelab_lib.twin.built import built
from homelab_lib.twin.clock import SimulatedClock
from homelab_lib.twin.machine.appliance import release_of
from homelab_lib.twin.truenas import seeding
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.rpc import GOLDEYE

pytestmark = pytest.mark.contract

_NAME = re.compile(r'"((?:[a-z_]+\.)+[a-z_]+)"')
_PURPOSES = ("DEFAULT_SHARE", "MULTIPROTOCOL_SHARE", "TIMEMACHINE_SHARE", "PRIVATE_DATASETS_SHARE")
UPS = {"title": "UPS", "part": "ups-1500va", "nut": {"host": "truenas"}, "phase": 1}
READ = set[tuple[str, tuple[str, ...]]]


class Watched(dict[str, Any]):
    """A row that tells what of it is looked at."""

    def __init__(self, row: dict[str, Any], method: str, read: READ, path: tuple[str, ...]) -> None:
        super().__init__(
            {key: watched(each, method, read, (*path, key)) for key, each in row.items()}
        )
        self.note = lambda key: read.add((method, (*path, key)))

    def __getitem__(self, key: str) -> Any:
        self.note(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.note(key)
        return super().get(key, default)


def watched(value: Any, method: str, read: READ, path: tuple[str, ...] = ()) -> Any:
    if isinstance(value, dict):
        return Watched(value, method, read, path)
    return (
        [watched(each, method, read, path) for each in value] if isinstance(value, list) else value
    )


class Wire:
    """Carries commands to the twin; what is sent and what is read of answers is written down."""

    def __init__(self, nas: TrueNas) -> None:
        self.nas = nas
        self.sent: list[tuple[str, list[Any]]] = []
        self.read: READ = set()
        self.last = ""

    def ask(self, host: str, argv: Any) -> tuple[int, str, str]:
        self._note(argv)
        reply = self.nas.run(shlex.join(argv)).finished()
        return reply.status, reply.out.decode(), reply.err.decode()

    def run(self, host: str, command: Any) -> Result:
        given = command.stdin.reveal() if isinstance(command.stdin, Secret) else ""
        self._note(command.argv, given)
        by_sudo = "sudo -n -- " if command.sudo else ""
        reply = self.nas.run(by_sudo + command.line, given.encode())
        self.nas.world.clock.sleep(reply.takes_s)
        reply = reply.finished()
        return Result(reply.status, reply.out.decode(), reply.err.decode())

    def reconnect(self, host: str) -> None:
        """It never lets go."""

    def _note(self, argv: Any, stdin: str = "") -> None:
        match [word for word in argv if word != "-j"]:
            case ["midclt", "call", method, *words] | ["python3", "-c", _, method, *words]:
                self.last = method
                given = [_value(word) for word in words]
                for path, secret in (json.loads(stdin) if stdin else {}).items():
                    *way, last = path.split(".")
                    place = given[-1]
                    for key in way:
                        place = place[key]
                    place[last] = secret
                self.sent.append((method, given))


def _value(word: str) -> Any:
    try:
        return json.loads(word)
    except ValueError:
        return word


def wanted(release: midclt.Release, later: bool) -> Iterator[Any]:
    """Each resource, as it is at first and as it is later."""
    where, size = ("nas", "attic", release), 2**40 if later else 2**30
    yield ZfsDataset("nas", "attic", "tank/new", "NFS", 2**20 if later else 2**17, size)
    networks = ["10.0.40.0/24", *(["10.0.30.0/24"] if later else [])]
    yield families.nfs_share(*where, "/mnt/tank/new", networks, "root", "root")
    for number, purpose in enumerate(_PURPOSES):
        other = _PURPOSES[number - 1] if later else purpose
        yield families.smb_share(*where, f"share-{number}", "/mnt/tank/m", other)
    kept = (3 if later else 2, "WEEK")
    yield families.snapshot_task(*where, "tank/a", {"hour": "3"}, keep=kept)
    hour = {"hour": "4" if later else "3"}
    yield families.cron_job(*where, "self-test", "smartctl -t long /dev/sda", hour)
    yield families.init_script(*where, "fans", "ipmitool raw 1", "POSTINIT", 30 if later else 10)
    for service in ("nfs", "cifs"):
        yield NasService("nas", release, service)
    password = Secret("env:ANN", lambda: "made-up-012345")
    yield NasUser("nas", "attic", "ann", "Ann", wanted={"smb": later}, password=password)
    entries = nfs4("MODIFY" if later else "READ")
    yield FolderAcl("nas", "attic", "tank/new", "NFS4", entries)
    if release < (25, 10):
        hours = {"hour": "4" if later else "3"}
        yield watching.smart_test(*where, "all", "SHORT", (), hours)
    level = "INFO" if later else "WARNING"
    chat = {"url": Secret("env:URL", lambda: "https://chat.example.org/hook")}
    yield watching.alert_service(*where, "chat", "Slack", level, {}, chat)
    mail = {"fromemail": "b@c.de" if later else "a@c.de", "smtp": False}
    yield Settings("nas", "mail", mail, {"pass": password})
    yield from lent(where, later, password)
    yield from outside(later, password)
    monthly = tasks.cron("0 4 1 * *" if later else "0 3 1 * *")
    yield watching.Scrub("nas", "attic", "tank", monthly, 20)
    may = "READ" if later else "CHANGE"
    yield ShareAccess("nas", "attic", "share-0", (("GROUP", 545, may, True),))
    yield ConfigBackup("nas", "/root/homelab/copy.tar")
    yield time_server("nas", "attic", release, "10.0.30.1", prefer=True)
    yield AppsPool("nas", "tank")
    port = {"bind_mode": "published", "port_number": 8097 if later else 8096}
    values = {"network": {"web_port": port}}
    yield App("nas", "attic", "films", "community", "jellyfin", "jellyfin", values)
    yield App("nas", "attic", "stopped", "community", "tdarr", "tdarr", {})
    image = f"quay.io/prometheus/node-exporter:v1.{12 if later else 9}.1"
    yield ComposedApp("nas", "attic", "node-exporter", {"image": image, "pid": "host"})
    bond = Bonded(("enp2s0",), "LACP")
    second = NasInterface("enp2s0", ("10.0.60.1/30",))
    if later:
        second = NasInterface("bond0", ("10.0.60.1/30",), mtu=9000, made_of=bond)
    names = ("10.0.30.1", "9.9.9.9") if later else ("10.0.30.1",)
    first = NasInterface("enp1s0", ("10.0.30.2/24",))
    gateway = "10.0.30.254" if later else "10.0.30.1"
    yield NasNetwork("nas", release, (first, second), gateway, names, "10.0.30.2")
    yield Settings("nas", "network.configuration", {"hostname": "attic" if later else "nas"})


def lent(where: Any, later: bool, password: Secret) -> Iterator[Any]:
    """A zvol by iSCSI."""
    yield iscsi.portal(*where, "p", ["10.0.30.2"])
    yield iscsi.initiators(*where, "i", ["iqn.2026-01.a", *(["iqn.2026-01.b"] if later else [])])
    yield iscsi.chap_login(*where, 1, "ann", {"secret": password})
    yield iscsi.Volume("nas", "attic", "tank/lun", 2**31 if later else 2**30)
    yield iscsi.extent(*where, "e", {"type": "DISK", "disk": "zvol/tank/lun"}, read_only=later)
    group = {"portal": 1, "initiator": 1, "authmethod": "CHAP", "auth": 1}
    yield iscsi.target(*where, "t", group, ["10.0.30.0/24"] if later else [])
    yield iscsi.lent(*where, 1, 0, 1)
    yield Settings("nas", "iscsi.global", {"listen_port": 3261 if later else 3260})


def outside(later: bool, password: Secret) -> Iterator[Any]:
    """A copy outside of the house."""
    where = ("nas", "attic")
    keys = {"account": password, "key": password}
    yield cloud.CloudLogin(*where, "b2", "B2", {}, keys)
    fields = {
        "path": "/mnt/tank/new",
        "direction": "PUSH",
        "transfer_mode": "SYNC" if later else "COPY",
        "snapshot": True,
        "attributes": {"bucket": "b", "folder": "/f", "fast_list": True, "chunk_size": 96},
        "schedule": tasks.cron("0 4 * * *" if later else "0 3 * * *"),
        "encryption": True,
        "bwlimit": [
            {"time": "08:00", "bandwidth": 2_500_000},
            {"time": "23:00", "bandwidth": None},
        ],
        "transfers": 4,
        "pre_script": cloud.guard("/mnt/tank/new", 3) if later else "",
        "exclude": ["*.iso"],
    }
    hidden = {"encryption_password": password, "encryption_salt": password}
    yield cloud.CloudTask(*where, "new", "b2", fields, hidden)
    yield cloud.CloudCopied(*where, "new", "/mnt/tank/new", False, 86_400.0)


def nfs4(group: str) -> tuple[Any, ...]:
    flags, allow = {"BASIC": "INHERIT"}, {"type": "ALLOW", "id": -1}
    perms = {"owner@": "FULL_CONTROL", "group@": group}
    return tuple(
        {"tag": tag, "perms": {"BASIC": may}, "flags": flags} | allow for tag, may in perms.items()
    )


def sent_by(wire: Wire, *steps: Step) -> None:
    book = Runbook("nas", "A NAS", steps)
    journal = Journal(None, mask=Mask(), wall=lambda: "now")
    sender = Sender(wire, wire.nas.world.clock, journal, Mask())
    engine = Engine(
        book,
        "apply",
        sender,
        trust=lambda name, key, made: None,
        seal=str,
        secret=lambda reference: Secret(reference, lambda: "made-up-012345"),
    )
    for step in steps:
        assert engine.run_step(step.name).status != "failed"


def recorded(release: str, monkeypatch: pytest.MonkeyPatch) -> Wire:
    """What all of them send and read, and what the recipes do."""
    wire = Wire(small_nas(release))
    wire.nas.config["docker"]["pool"] = None
    parse = midclt.parse

    def watching(text: str) -> Any:
        return watched(parse(text), wire.last, wire.read)

    monkeypatch.setattr(midclt, "parse", watching)
    for later in (False, True):
        for app in wire.nas.apps:
            app["state"] = "STOPPED" if app["id"] == "stopped" else app["state"]
        sent_by(wire, Step("all", "All", ensure=lambda ctx, c=later: wanted(
            midclt.release(ctx.host("nas")), c)))  # fmt: skip
    lab = changed(load_lab(), ("hosts.truenas.os.version", release), ("upses", {"cellar": UPS}))
    wire.nas = built(lab, before_phase=1, clock=SimulatedClock()).machines["truenas"]
    sent_by(wire, *configuration.before(lab, 1), *power.steps(lab, 1), *nas.steps(lab, 1))
    monkeypatch.setattr(midclt, "parse", parse)
    json_of = seeding.json_of

    def watching_json(ask: Any, host: str, *argv: str) -> Any:
        return watched(json_of(ask, host, *argv), argv[2], wire.read)

    monkeypatch.setattr(seeding, "json_of", watching_json)
    seeding.seed_truenas(small_nas(release, pool=False), wire.ask)
    return wire


@pytest.mark.parametrize("release", RELEASES)
def test_what_we_send_and_what_we_read(release, monkeypatch):
    real = contract(f"truenas-{release}.json.gz")
    wire = recorded(release.upper(), monkeypatch)
    wrong = []
    for name, arguments in wire.sent:
        wrong += _refused(real, release, name, arguments)
    for name, path in sorted(wire.read):
        known = real["methods"].get(name, {})
        returns = known.get("returns") or {}
        schema = known.get("entry") or returns.get("properties", {}).get("result")
        if schema and not _there(schema, real, list(path)):
            wrong.append(f"{name} tells no {'.'.join(path)}")
    assert wrong == []
    assert {name for name, _ in wire.read} >= {"pool.dataset.query", "sharing.nfs.query"}


def _refused(real: dict[str, Any], release: str, name: str, arguments: list[Any]) -> Iterator[str]:
    """What a release has against a call."""
    known = real["methods"].get(name)
    if known is None:
        if release_of(release) >= GOLDEYE and name not in UNTOLD:
            yield f"{name} is not there"
    elif known.get("accepts"):
        names = list(known["accepts"].get("properties", {}))
        assert len(arguments) <= len(names), name
        validator = Draft202012Validator(known["accepts"] | {"$defs": real["$defs"]})
        given = dict(zip(names, arguments, strict=False))
        yield from (f"{name}: {error.message}" for error in validator.iter_errors(given))
    elif known.get("entry"):
        fields = [one[0] for one in (arguments or [[]])[0]]
        yield from (f"{name}: no {f}" for f in fields if not _there(known["entry"], real, [f]))


def test_what_runbooks_send_is_right(carried: CarriedOut) -> None:
    """Of every runbook of every lab that is here, by the schemas of its release's series."""
    sent = carried.truenas
    assert len(sent) > 100
    for version, name, given in sorted(sent):
        series = [each for each in RELEASES if release_of(each)[:2] == release_of(version)[:2]]
        assert series, version
        for release in series:
            real = contract(f"truenas-{release}.json.gz")
            assert list(_refused(real, release, name, json.loads(given))) == []


def _there(schema: dict[str, Any], real: dict[str, Any], path: list[str]) -> bool:
    """Whether a row has what stands at `path`."""
    if "$ref" in schema:
        return _there(real["$defs"][schema["$ref"].rpartition("/")[2]], real, path)
    if not path or schema == {}:
        return True
    for branch in schema.get("anyOf", []) + schema.get("oneOf", []):
        if _there(branch, real, path):
            return True
    if schema.get("type") == "array":
        return _there(schema.get("items", {}), real, path)
    properties = schema.get("properties", {})
    if path[0] in properties:
        return _there(properties[path[0]], real, path[1:])
    return not properties and schema.get("additionalProperties") is True


def test_no_call_of_the_source_is_left_out(monkeypatch):
    """Names of methods in the control room and the recipes, sent by one of the resources above."""
    root = Path(homelab_lib.__file__).parent
    sources = [*root.glob("control/truenas/*.py"), *root.glob("recipes/nas/*.py")]
    sources.append(root / "twin" / "truenas" / "seeding.py")
    every = {
        name for release in RELEASES for name in contract(f"truenas-{release}.json.gz")["methods"]
    }
    lines = [line for file in sources for line in file.read_text().splitlines()]
    # How a change is undone is told to a person, and nobody of ours sends it.
    told = {name for line in lines if "undo = " in line for name in _NAME.findall(line)}
    written = {name for line in lines if "undo = " not in line for name in _NAME.findall(line)}
    namespaces = {name.rpartition(".")[0] for name in every}
    assert told <= every | UNTOLD | namespaces
    spaces = written & namespaces
    methods = (written & (every | UNTOLD)) - spaces
    sent = {name for release in RELEASES for name, _ in recorded(release.upper(), monkeypatch).sent}
    assert methods - sent == set()
    assert all(any(name.startswith(f"{space}.") for name in sent) for space in spaces)
    assert len(methods) > 10
