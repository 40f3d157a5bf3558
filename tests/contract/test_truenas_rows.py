"""What the twin's TrueNAS answers, against what the middleware's models say of its answers."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from contract.oracle import contract
from contract.small_nas import made, small_nas
from contract.test_truenas_schemas import RELEASES, known

pytestmark = pytest.mark.contract

NFS = {"path": "/mnt/tank/a", "networks": ["10.0.30.0/24"], "maproot_user": "root"}
USER = {"username": "ops", "full_name": "Ops", "group_create": True, "password": "x", "smb": True}
ACE = {"tag": "GROUP", "id": 545, "type": "ALLOW", "perms": {"BASIC": "MODIFY"},
       "flags": {"BASIC": "INHERIT"}}  # fmt: skip
SHARE_ACE = {"ae_who_str": "apps", "ae_perm": "READ", "ae_type": "ALLOWED"}
DRAID = {"type": "DRAID1", "disks": ["sdc", "sdd"], "draid_data_disks": 1}
GRAPHITE = {"exporter_type": "GRAPHITE", "destination_ip": "10.0.30.11", "destination_port": 2003,
            "namespace": "nas"}  # fmt: skip
LOGIN = {"name": "b2", "provider": {"type": "B2", "account": "a", "key": "k"}}
CALLS: tuple[tuple[Any, ...], ...] = (
    ("pool.dataset.create", {"name": "tank/v", "type": "VOLUME", "volsize": 2**30}),
    ("pool.dataset.update", "tank/a", {"quota": 2**40, "recordsize": "1M", "comments": "mine"}),
    ("sharing.nfs.create", NFS),
    ("sharing.nfs.update", 3, {"ro": True}),
    ("sharing.smb.create", {"name": "media", "path": "/mnt/tank/m"}),
    ("iscsi.portal.create", {"listen": [{"ip": "10.0.30.2"}], "comment": "p"}),
    ("iscsi.initiator.create", {"initiators": ["iqn.2026-01.a:b"]}),
    ("iscsi.auth.create", {"tag": 1, "user": "ann", "secret": "made-up-012345"}),
    ("iscsi.target.create", {"name": "t", "groups": [{"portal": 1, "initiator": 1}]}),
    ("iscsi.extent.create", {"name": "e", "disk": "zvol/tank/v"}),
    ("iscsi.targetextent.create", {"target": 1, "extent": 1}),
    ("iscsi.global.update", {"listen_port": 3261}),
    ("cloudsync.credentials.create", LOGIN),
    (
        "cloudsync.create",
        {
            "path": "/mnt/tank/a",
            "credentials": 1,
            "attributes": {"bucket": "b", "folder": "/"},
            "direction": "PUSH",
            "transfer_mode": "COPY",
        },
    ),
    ("mail.update", {"fromemail": "nas@example.org", "security": "TLS"}),
    ("alert.list",),
    ("filesystem.getacl", "/mnt/tank/a"),
    ("pool.dataset.create", {"name": "tank/s", "share_type": "SMB"}),
    ("filesystem.getacl", "/mnt/tank/s", True, True),
    ("filesystem.setacl", {"path": "/mnt/tank/s", "dacl": [ACE], "gid": 568}),
    ("filesystem.acltemplate.query",),
    ("sharing.smb.getacl", {"share_name": "media"}),
    ("sharing.smb.setacl", {"share_name": "media", "share_acl": [SHARE_ACE]}),
    (
        "pool.create",
        {
            "name": "deep",
            "encryption": True,
            "topology": {"data": [DRAID]},
            "encryption_options": {"generate_key": True},
        },
    ),
    ("pool.snapshottask.create", {"dataset": "tank/a"}),
    ("pool.scrub.create", {"pool": 1}),
    ("cronjob.create", {"command": "true", "user": "root"}),
    ("initshutdownscript.create", {"type": "COMMAND", "command": "true", "when": "PREINIT"}),
    ("initshutdownscript.update", 1, {"when": "SHUTDOWN"}),
    ("reporting.exporters.create", {"name": "numbers", "enabled": True, "attributes": GRAPHITE}),
    ("staticroute.create", {"destination": "10.0.40.0/24", "gateway": "10.0.30.1"}),
    ("group.create", {"name": "media"}),
    ("user.create", USER),
    ("interface.update", "enp2s0", {"aliases": [{"address": "10.0.60.2", "netmask": 30}]}),
    ("interface.commit", {"checkin_timeout": 60}),
    ("interface.checkin_waiting",),
    ("interface.has_pending_changes",),
    ("interface.network_config_to_be_removed",),
    ("interface.checkin",),
    ("network.configuration.update", {"hostname": "nas", "nameserver1": "10.0.30.1"}),
    ("service.update", "nfs", {"enable": True}),
    ("service.control", "START", "nfs", {"silent": False}),
    ("service.start", "cifs"),
    ("service.started", "nfs"),
    ("nfs.update", {"servers": 4}),
    ("nfs.bindip_choices",),
    ("smb.update", {"workgroup": "HOME"}),
    ("ssh.update", {"tcpport": 22}),
    ("ups.update", {"driver": "usbhid-ups", "port": "auto"}),
    ("system.general.update", {"timezone": "Europe/Berlin"}),
    ("system.advanced.update", {"motd": "Hello"}),
    ("system.info",),
    ("system.ready",),
    ("system.version",),
    ("boot.get_disks",),
    ("boot.get_state",),
    ("disk.details",),
    ("pool.import_find",),
    ("docker.update", {"pool": "tank"}),
    ("docker.status",),
    ("app.create", {"app_name": "x", "catalog_app": "x"}),
    ("app.config", "x"),
    ("app.update", "x", {"values": {"TZ": "Europe/Berlin"}}),
    ("app.stop", "x"),
    ("app.start", "x"),
    ("app.gpu_choices",),
    ("ups.driver_choices",),
    ("core.download", "config.save", [{"secretseed": True}], "copy.tar"),
    (
        "pool.create",
        {"name": "fast", "topology": {"data": [{"type": "MIRROR", "disks": ["sda", "sdb"]}]}},
    ),
    ("sharing.nfs.delete", 3),
    ("pool.dataset.delete", "tank/t", {}),
)


OLD_ALERT = {"name": "m", "type": "Mail", "attributes": {"email": "a@b.c"}, "level": "ERROR"}
ALERT = {"name": "m", "attributes": {"type": "Mail", "email": "a@b.c"}, "level": "ERROR"}


@pytest.mark.parametrize("release", RELEASES)
def test_answers_have_the_form_of_the_real_ones(release):
    real, nas = contract(f"truenas-{release}.json.gz"), small_nas(release.upper())
    wrong: dict[str, list[str]] = {}
    made(nas, "alertservice.create", OLD_ALERT if release == "25.04.2" else ALERT)
    if release == "25.04.2":
        made(nas, "smart.test.create", {"all_disks": True, "type": "LONG"})
    answers = [(name, made(nas, name, *rest)) for name, *rest in CALLS if name in known(release)]
    for name, answer in answers:
        returns = real["methods"].get(name, {}).get("returns")
        if returns:
            found = _problems(returns, real, {"result": answer})
            wrong |= {name: found} if found else {}
    for name in (each for each in known(release) if each.endswith(".query")):
        entry = real["methods"].get(name, {}).get("entry")
        rows = made(nas, name)
        if entry:
            found = [why for row in rows for why in _problems(entry, real, row)]
            invented = {key for row in rows for key in row} - entry["properties"].keys()
            found += [f"{key}: the real one tells no such thing" for key in sorted(invented)]
            wrong |= {name: found} if found else {}
            assert rows or name == "app.query", f"no row of {name} to compare"
    assert wrong == {}


def _problems(schema: dict[str, Any], real: dict[str, Any], value: Any) -> list[str]:
    value = _moments_as_texts(value)
    validator = Draft202012Validator(schema | {"$defs": real["$defs"]})
    return [f"{error.json_path}: {error.message[:120]}" for error in validator.iter_errors(value)]


def _moments_as_texts(value: Any) -> Any:
    """The models have moments, which the wire has as milliseconds."""
    if isinstance(value, dict):
        if value.keys() == {"$date"}:
            return "2026-01-01T00:00:00Z"
        return {key: _moments_as_texts(each) for key, each in value.items()}
    return [_moments_as_texts(each) for each in value] if isinstance(value, list) else value
