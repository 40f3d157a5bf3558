"""`qm create` and the API's parameters, held against Proxmox's own parser and its schema."""

import re
import shlex

import pytest

from contract.oracle import contract
from contract.pve_door import called, refused_by_schema
from contract.pve_schema import parameters, paths, perl, rule_of
from homelab_lib.lab import load_lab
from homelab_lib.twin.built import built
from homelab_lib.twin.proxmox.methods import METHODS
from homelab_lib.twin.proxmox.qm import COMMANDS
from homelab_lib.twin.proxmox.schema import Format, Property

pytestmark = pytest.mark.contract

STATE = {
    r"storage '.*' does not exist": "the lab has no storage of that name",
    r"volume '.*' does not exist": "nothing has made that volume",
    r"unable to parse volume ID": "it is no volume of the kind that a drive takes",
    r"no such volume": "nobody has put that image there",
    r"unable to associate path": "the host has no such disk",
    r"invalid disk size": "a disk of no size is refused once it is made",
    r"out of space": "the pool is not that large",
    r"does not support content-type 'images'": "that storage holds no disks",
    r"can't open '.*'": "there is no such file with keys",
    r"already exists on node": "the number is taken",
    r"this twin knows no backups": "nothing is restored on it",
    r"vcpus allowed per VM|Cannot allocate memory": "the node is not that large",
}
"""Why the twin refuses what the schema takes: what only a machine with things on it can say."""


@pytest.fixture(scope="module")
def node():
    return built(load_lab(), before_phase=2).machines["proxmox"]


# Verdicts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row", contract("qm-create.json")["rows"], ids=lambda row: shlex.join(row["argv"])[:60]
)
def test_the_twin_says_what_the_real_parser_said(node, row):
    reply = called(node, "qm", "create", *row["argv"])
    said = reply.err.decode()
    if not row["accepted"]:
        assert reply.status != 0
        # Its own words, but where the schema is not what was looked at first.
        assert row["why"] in said.replace("400 Parameter verification failed.\n", ""), said
        return
    assert not refused_by_schema(reply), said
    if reply.status:
        assert any(re.search(state, said) for state in STATE), said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--bootdisk scsi99", "bootdisk: invalid format - invalid boot disk 'scsi99'"),
        ("--boot order=unused0", "invalid boot device 'unused0'"),
        ("--boot order=efidisk0", "invalid boot device 'efidisk0'"),
        ("--affinity 3-1", "unable to parse cpuset option"),
        ("--ipconfig0 gw=10.0.0.1", "ipconfig0.ip: missing property required by 'ipconfig0.gw'"),
        ("--ipconfig0 ip=10.0.0.5/7", "valid ipv4 network configuration"),
        ("--cpu Foo", "Built-in cputype 'Foo' is not defined"),
        ("--cpu host,phys-bits=7", "value must be an integer between 8 and 64 or 'host'"),
        ("--intel-tdx tdx", "intel-tdx.attestation: property is missing"),
        ("--hostpci0 0A:00", "hostpci0.host: value does not match the regex pattern"),
        ("--unused256 local-zfs:x", "unable to parse option"),
        ("--net 1", "unable to parse option"),
    ],
)
def test_what_the_source_refuses_where_the_data_has_no_rule(node, words, says):
    reply = called(node, "qm", "create", "201", *shlex.split(words))
    assert refused_by_schema(reply)
    assert says in reply.err.decode()


# Structure ---------------------------------------------------------------------------------------

STRICTER = {
    ("serial[n]", "pattern"): "a comma is refused since qemu-server 9.2",
    ("compression", "enum"): "the data has no values for it",
    ("reported-model", "enum"): "it is refused whatever its value",
}


def meaning(pattern):
    """A pattern without the groups that only hold it together."""
    return repr(re._parser.parse(pattern)) if pattern else ""


def expected(rule):
    """What the schema says of a parameter, as far as it decides what is taken."""
    form = rule.get("format")
    return {
        "type": rule.get("type", "string") if "alias" not in rule else "",
        "enum": [str(each) for each in rule.get("enum") or ()],
        "pattern": meaning(perl(rule.get("pattern", ""))),
        "minimum": float(rule["minimum"]) if "minimum" in rule else None,
        "maximum": float(rule["maximum"]) if "maximum" in rule else None,
        "lengths": (rule.get("minLength"), rule.get("maxLength")),
        "required": not rule.get("optional") and "alias" not in rule,
        "aliases": (rule.get("alias", ""), rule.get("keyAlias", "")),
        "requires": rule.get("requires", ""),
        "bare": bool(rule.get("default_key")),
        "format": sorted(form) if isinstance(form, dict) else form or "",
    }


def ours(rule: Property):
    form = rule.format or Format()
    return {
        "type": rule.type if not rule.alias else "",
        "enum": list(rule.enum),
        "pattern": meaning(rule.pattern),
        "minimum": rule.minimum,
        "maximum": rule.maximum,
        "lengths": (rule.min_length, rule.max_length),
        "required": rule.required,
        "aliases": (rule.alias, rule.key_alias),
        "requires": rule.requires,
        "bare": rule.bare,
        "format": form.name or sorted(form.keys),
    }


def differences(name, rule, real):
    found, want = ours(rule), expected(real)
    plain = re.sub(r"\d+$", "[n]", name.rpartition(".")[2])
    for key, value in found.items():
        if (value or None) != (want[key] or None) and (plain, key) not in STRICTER:
            yield f"{name}: {key} is {value!r} and not {want[key]!r}"
    if isinstance(real.get("format"), dict) and rule.format:
        for key in real["format"].keys() & rule.format.keys.keys():
            yield from differences(f"{name}.{key}", rule.format.keys[key], real["format"][key])


@pytest.mark.parametrize("called", sorted(METHODS), ids=" ".join)
def test_parameters_are_those_of_the_schema(called):
    verb, path = called
    assert verb in paths().get(path, {}), "no such method"
    real, known = parameters(verb, path), METHODS[verb, path].parameters
    wrong = [f"{name}: unknown to Proxmox" for name in known if rule_of(real, name) is None]
    numbered = {re.sub(r"\d+$", "[n]", name) for name in known}
    wrong += [f"{name}: unknown to us" for name in real if name not in known.keys() | numbered]
    for name, rule in known.items():
        real_rule = rule_of(real, name)
        if real_rule is not None:
            wrong += differences(name, rule, real_rule)
    assert not wrong, "\n".join(wrong)


def test_the_sub_commands_of_qm_are_methods():
    for command in COMMANDS.values():
        known = METHODS[command.verb, command.path].parameters
        assert set(command.arguments) <= known.keys()
