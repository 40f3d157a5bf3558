"""Every call of Proxmox that we plan or read with, and what we read of the answers, held against
the API's schema: of every runbook of every lab that is here."""

import json
import re

import pytest

from contract.pve_schema import parameters, paths, refusals
from homelab_lib.recipes.phase import PARTS
from homelab_lib.twin.proxmox import pct, qm
from homelab_lib.twin.proxmox.methods import METHODS

pytestmark = pytest.mark.contract

VERBS = {"get": "GET", "create": "POST", "set": "PUT", "delete": "DELETE"}
PRINTING = ("output-format",)
VM = "/nodes/{node}/qemu/{vmid}"
PVESM = {
    "set": ("PUT", "/storage/{storage}", ("storage",)),
    "add": ("POST", "/storage", ("type", "storage")),
    "remove": ("DELETE", "/storage/{storage}", ("storage",)),
    "status": ("GET", "/nodes/{node}/storage", ()),
    "list": ("GET", "/nodes/{node}/storage/{storage}/content", ("storage",)),
}
OWN = {("pvesm", "path"), ("pvesm", "extractconfig"), ("pct", "unlock"), ("qm", "unlock")}
"""What a program does by itself, without a method of the API: the words after it are an id."""
BESIDES = {
    ("/nodes/{node}/disks/list", "type"): "`PVE::Diskmanage::get_disks` sets it",
    ("/nodes/{node}/network", "altnames"): "`PVE::API2::Network` adds them (extract_altnames)",
}
"""Keys of answers that the code gives and the schema does not name."""
UNSAID = {
    "/nodes/{node}/storage/{storage}/content": "each row has its kind of content, too",
    "/nodes/{node}/disks/zfs/{name}": "the schema has a tree's first level, and not those below it",
    "/cluster/backup": "the schema names its key alone; a job has what it was made with",
    "/storage": "the schema names its key alone; a storage has what it was made with",
    "/nodes/{node}/qemu/{vmid}/agent": "QEMU's guest agent says it, and not Proxmox",
    "/nodes/{node}/qemu/{vmid}/agent/exec-status": "",
}


def options_of(words, arguments):
    """The options of a call, and its arguments under their names."""
    given, rest, words = {}, [], list(words)
    while words:
        word = words.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            # What a program asks for comes on its standard input.
            given[word[2:]] = words.pop(0) if words else "read-from-stdin"
        else:
            rest.append(word)
    assert len(rest) == len(arguments), (rest, arguments)
    return given | dict(zip(arguments, rest, strict=True))


def method_of(argv):
    """The method behind a call, and the parameters that it is given."""
    program, *words = argv
    if program == "pvesh":
        method, of_path = METHODS.find(VERBS[words[0]], words[1])
        given = options_of(words[2:], ())
        assert set(PRINTING) >= given.keys() - parameters(method.verb, method.path).keys()
        return (method.verb, method.path), {
            k: v for k, v in given.items() if k not in PRINTING
        } | of_path
    if program == "pvesm":
        verb, path, arguments = PVESM[words[0]]
        return (verb, path), options_of(words[1:], arguments)
    if program == "pct":
        verb, path, arguments, _ = pct.COMMANDS[words[0]]
        return (verb, path), options_of(words[1:], arguments)
    for count in (2, 1):
        if command := qm.COMMANDS.get(" ".join(words[:count])):
            given = options_of(words[count:], command.arguments)
            if "sshkeys" in given:  # `qm` reads the file that is named
                given["sshkeys"] = given["sshkeys"].replace("/", "%2F")
            return (command.verb, command.path), given
    if words[0] == "status":  # it asks for that, and prints one word of it
        return ("GET", f"{VM}/status/current"), {"vmid": words[1]}
    assert words[:2] == ["guest", "exec"], argv  # `qm`'s own, with words of a guest behind it
    return ("POST", f"{VM}/agent/exec"), {"vmid": words[2], "command": "cat"}


def test_every_part_of_every_lab_is_among_them(carried):
    """So nothing that a runbook sends is left out below."""
    names = {name for _, name in carried.books}
    parts = {name.partition("_")[2] for name in names}
    assert parts == {part.name for part in PARTS}
    assert {("homelab", "phase4_backup"), ("homelab", "phase1_access")} <= {*carried.books}


def test_what_is_sent_is_in_the_schema(carried):
    calls = {argv for argv in carried.proxmox if argv[:2] not in OWN}
    sent = {argv[:2] for argv in calls}
    assert sent >= {("qm", "create"), ("pct", "create"), ("pvesm", "add"), ("pvesm", "list")}
    methods = set()
    for argv in sorted(calls):
        if argv[0] == "pveversion":
            continue
        (verb, path), given = method_of(argv)
        methods.add((verb, path))
        schema = {
            # Each of an array is an option of its own.
            k: {"optional": v.get("optional")} | v["items"] if v.get("type") == "array" else v
            for k, v in parameters(verb, path).items()
            if k != "command"
        }
        given = {k: v for k, v in given.items() if k in schema or k != "command"}
        wrong = refusals({k: v for k, v in schema.items() if k != "node"}, without_node(given))
        assert not wrong, (argv, wrong)
    assert methods >= {("POST", "/cluster/backup"), ("POST", "/nodes/{node}/vzdump")}


def without_node(given):
    return {key: value for key, value in given.items() if key != "node"}


def keys_of(schema):
    """The keys that an answer has, by the schema: a name, or one with numbers."""
    if "items" in schema:
        return keys_of(schema["items"] or {})
    return schema.get("properties", {})


def test_what_is_read_of_answers_is_in_the_schema(carried):
    read = {place for place in carried.of_proxmox if place[0] == "pvesh"}
    assert len(read) > 25
    for _, verb, path, *keys in sorted(read, key=json.dumps):
        method, _ = METHODS.find(VERBS[verb], path)
        if method.path in UNSAID:
            continue
        known = paths()[method.path][method.verb]["returns"]
        for key in keys:
            if (method.path, key) in BESIDES:
                break
            has = keys_of(known)
            name = key if key in has else re.sub(r"\d+$", "[n]", key)
            assert name in has, (method.path, keys)
            known = has[name]
