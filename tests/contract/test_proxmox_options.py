"""`qm create` and the API's parameters, held against Proxmox's own parser and its schema."""

import random
import re
import shlex

import pytest

from contract.oracle import contract
from contract.pve_schema import parameters, paths, perl, refusals, rule_of
from homelab_lib.lab import load_lab
from homelab_lib.twin.built import built
from homelab_lib.twin.machine.program import Call
from homelab_lib.twin.proxmox.methods import METHODS
from homelab_lib.twin.proxmox.qm import COMMANDS
from homelab_lib.twin.proxmox.schema import Format, Property

pytestmark = pytest.mark.contract

MUTATIONS, SEED = 20_000, 8
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


def called(node, *argv):
    """What the twin makes of a call: its reply, with whatever it made taken away again."""
    reply = node.call(Call(tuple(argv))).finished()
    node.vms.clear()
    for store in node.stores.values():
        store.volumes.clear()
    return reply


def refused_by_schema(reply):
    said = reply.err.decode()
    assert "twin: fault" not in said, said
    return "400 " in said


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


# Mutations ---------------------------------------------------------------------------------------

PVESH = {
    "get": (
        "/version",
        "/nodes",
        "/nodes/pve/status",
        "/nodes/pve/qemu --full 1",
        "/nodes/pve/storage --content images,rootdir --enabled 1 --storage local",
        "/nodes/pve/storage/local/content --content iso --vmid 101",
        "/nodes/pve/tasks --limit 5 --source all --start 0 --vmid 101 --errors 0",
        "/nodes/pve/network --type bridge",
        "/cluster/resources --type vm",
        "/cluster/nextid --vmid 300",
        "/storage --type dir",
    ),
    "create": (
        "/nodes/pve/qemu --vmid 201 --name a --memory 2048 --cores 2 --onboot 1",
        "/nodes/pve/storage/local/download-url --content iso --filename a.iso --url http://x/a "
        "--checksum abc --checksum-algorithm sha256 --verify-certificates 0",
    ),
    "set": (
        "/nodes/pve/qemu/201/config --cores 4 --delete tags --digest abc",
        "/nodes/pve/qemu/201/resize --disk scsi0 --size +8G",
        "/storage/local --content iso,vztmpl --shared 0 --nodes pve --port 80",
    ),
    "delete": ("/nodes/pve/qemu/201 --purge 1 --skiplock 0",),
}
VERBS = {"get": "GET", "create": "POST", "set": "PUT", "delete": "DELETE"}
WORDS = (
    *("", "0", "1", "2", "-1", "4", "4.0", "1e3", "99999999999", "on", "no", "maybe", "abc", "a b"),
    *(
        "a,b",
        "a;b",
        "a=b",
        "=",
        ",",
        "x" * 300,
        "ä",
        "/etc/passwd",
        "../x",
        "none",
        "cdrom",
        "01:00",
    ),
    *("local:iso/a.iso", "local-zfs:4", "local-zfs:0", "32G", "32GB", "+8G", "virtio", "vmbr0"),
    *(
        "10.0.0.1",
        "10.0.0.1/24",
        "fd00::1",
        "02:00:00:00:00:01",
        "01:00:00:00:00:01",
        "q35",
        "host",
    ),
    *("enabled=1", "type=std", "file=none", "current=64", "order=scsi0", "socket", "0x1", "1;2"),
)


def flattened(argv):
    """The options of a call by name; None where it is not one of ``--name value`` each."""
    given = {}
    for name, value in zip(argv[::2], argv[1::2], strict=False):
        if not name.startswith("--") or "=" in name:
            return None
        given[name[2:]] = value
    return given if len(argv) % 2 == 0 else None


def shortened(schema, name):
    """Whether a word may be the beginning of an option's name."""
    begun = any(known.startswith(name.lower()) for known in schema)
    return rule_of(schema, name) is None and begun


def mutated(rng, argv, names, keys):
    """Another call, one or two steps from a good one."""
    argv = list(argv)
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(1, len(argv), 2) if len(argv) > 1 else 0
        match rng.randrange(6):
            case 0 if argv:
                argv[at] = rng.choice(WORDS)
            case 1 if argv:
                argv[at] += rng.choice((",", "=1", " ", "0", "x", ",foo=1"))
            case 2 if argv:
                argv[at] += f",{rng.choice(keys)}={rng.choice(WORDS)}"
            case 3:
                argv += [f"--{rng.choice(names)}", rng.choice(WORDS)]
            case 4 if argv:
                argv[at - 1] = f"--{rng.choice(names)}"
            case 5 if argv:
                cut = rng.randrange(len(argv[at]) + 1)
                argv[at] = argv[at][:cut] + argv[at][cut + 1 :]
    return argv


def keys_within(schema):
    inner = [rule["format"] for rule in schema.values() if isinstance(rule.get("format"), dict)]
    return sorted({key for keys in inner for key in keys} | {"ip", "gw", "host", "mapping"})


def test_mutations_are_taken_only_where_the_schema_takes_them(node):
    rng = random.Random(SEED)
    good = [row["argv"][1:] for row in contract("qm-create.json")["rows"] if row["accepted"]]
    create = {k: v for k, v in parameters("POST", "/nodes/{node}/qemu").items() if k != "node"}
    names = sorted(
        re.sub(r"\[n\]", "0", name) for name in create if name not in ("vmid", "archive")
    )
    head = ("qm", "create", "201")
    cases = [(head, argv, create, {"vmid": "201"}, names) for argv in good if flattened(argv)]
    for verb, lines in PVESH.items():
        for line in lines:
            path, *argv = shlex.split(line)
            method, of_path = METHODS.find(VERBS[verb], path)
            schema = parameters(method.verb, method.path)
            asked = sorted(name.replace("[n]", "0") for name in schema if name not in of_path)
            head = ("pvesh", verb, path)
            cases += [(head, argv, schema, of_path, asked or ["foo"])] * 12
    taken = refused = 0
    while taken + refused < MUTATIONS:
        head, argv, schema, fixed, known = rng.choice(cases)
        changed = mutated(rng, argv, known, keys_within(schema))
        given = flattened(changed)
        if given is None or "sshkeys" in given or any(shortened(schema, n) for n in given):
            continue  # another grammar than the judge's
        reply = called(node, *head, *changed, *(["--output-format", "json"] * (head[0] == "pvesh")))
        if refused_by_schema(reply):
            refused += 1
            continue
        taken += 1
        whole = {name: value for name, value in given.items() if name != "output-format"} | fixed
        why = refusals(schema, whole)
        assert not why, (head, changed, why, reply.err.decode())
    assert min(taken, refused) > MUTATIONS // 20, (taken, refused)
