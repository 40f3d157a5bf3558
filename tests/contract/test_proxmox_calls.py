"""Every call of Proxmox that we plan or read with, and what we read of the answers, held against
the API's schema: recorded while phases are planned and carried out."""

import json
import re
import shlex
from contextlib import closing

import pytest

from contract.pve_schema import parameters, paths, refusals
from homelab_lib import answers
from homelab_lib.session import run as session
from homelab_lib.twin.proxmox.methods import METHODS
from homelab_lib.twin.proxmox.pvesh import pvesh
from homelab_lib.twin.proxmox.pvesm import pvesm
from homelab_lib.twin.proxmox.qm import COMMANDS, qm

pytestmark = pytest.mark.contract

VERBS = {"get": "GET", "create": "POST", "set": "PUT", "delete": "DELETE"}
PRINTING = ("output-format",)
PVESM = {"set": ("PUT", "/storage/{storage}", ("storage",)),
         "status": ("GET", "/nodes/{node}/storage", ())}  # fmt: skip
RUNS = (
    ("phase2", "", "room,image,machines"),
    ("phase2", "data/examples/minipc", "room,image,machines"),
    ("phase2", "tests/recipes/labs/cards.yaml", "groups,boot,mappings,passthrough,second-start"),
    ("phase3", "", "room,image,machines,agents,groups,boot,mappings,passthrough,second-start"),
    ("phase1_proxmox", "tests/recipes/labs/proxmox.yaml", ""),
    ("phase1_network", "tests/recipes/labs/proxmox.yaml", ""),
)
UNSAID = {
    "/nodes/{node}/storage/{storage}/content": "each row has its kind of content, too",
    "/nodes/{node}/disks/zfs/{name}": "the schema has a tree's first level, and not those below it",
    "/storage": "the schema names its key alone; a storage has what it was made with",
    "/nodes/{node}/qemu/{vmid}/agent": "QEMU's guest agent says it, and not Proxmox",
    "/nodes/{node}/qemu/{vmid}/agent/exec-status": "",
}


class Read(dict):
    """An answer that remembers which of its keys were asked for."""

    def __init__(self, document, place, seen):
        super().__init__({key: watched(v, (*place, key), seen) for key, v in document.items()})
        self.place, self.seen = place, seen

    def _note(self, key):
        self.seen.add((*self.place, key))

    def __getitem__(self, key):
        self._note(key)
        return super().__getitem__(key)

    def get(self, key, default=None):
        self._note(key)
        return super().get(key, default)


def watched(document, place, seen):
    if isinstance(document, dict):
        return Read(document, place, seen)
    if isinstance(document, list):
        return [watched(each, place, seen) for each in document]
    return document


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The calls that were sent, and the keys that were read by path."""
    folder = tmp_path_factory.mktemp("recorded")
    calls, seen = set(), set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMELAB_STATE", str(folder / "state"))
        patch.setenv("HOMELAB_REPORTS", str(folder / "reports"))
        for program in (qm, pvesh, pvesm):
            for name, body in program.bodies.items():

                def noted(node, call, body=body):
                    calls.add(call.argv)
                    return body(node, call)

                patch.setitem(program.bodies, name, noted)
        expected = answers.expected

        def watching(value, shape, *, host, line):
            said = expected(value, shape, host=host, line=line)
            words = shlex.split(line)
            words = words[words.index("pvesh") :] if "pvesh" in words else words
            return watched(said, tuple(words[:3]), seen)

        patch.setattr(answers, "expected", watching)
        for book, lab, only in RUNS:
            options = {"lab": lab, "only": only}
            with closing(session.begin(book, mode="apply", **options)) as run:
                run.plan()
                for step in run.selected:
                    run.step(step)
    return calls, seen


def options_of(words, arguments):
    """The options of a call, and its arguments under their names."""
    given, rest, words = {}, [], list(words)
    while words:
        word = words.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            given[word[2:]] = words.pop(0)
        else:
            rest.append(word)
    assert len(rest) == len(arguments), (rest, arguments)
    return given | dict(zip(arguments, rest, strict=True))


def method_of(argv):
    """The method behind a call, and the parameters that it is given."""
    if argv[0] == "pvesh":
        method, of_path = METHODS.find(VERBS[argv[1]], argv[2])
        given = options_of(argv[3:], ())
        assert set(PRINTING) >= given.keys() - parameters(method.verb, method.path).keys()
        return (method.verb, method.path), {
            k: v for k, v in given.items() if k not in PRINTING
        } | of_path
    if argv[0] == "pvesm":
        verb, path, arguments = PVESM[argv[1]]
        return (verb, path), options_of(argv[2:], arguments)
    for count in (2, 1):
        if command := COMMANDS.get(" ".join(argv[1 : 1 + count])):
            given = options_of(argv[1 + count :], command.arguments)
            if "sshkeys" in given:  # `qm` reads the file that is named
                given["sshkeys"] = given["sshkeys"].replace("/", "%2F")
            return (command.verb, command.path), given
    if argv[1] == "status":  # it asks for that, and prints one word of it
        return ("GET", "/nodes/{node}/qemu/{vmid}/status/current"), {"vmid": argv[2]}
    assert argv[1:3] == ("guest", "exec"), argv  # `qm`'s own, with words of a guest behind it
    path = "/nodes/{node}/qemu/{vmid}/agent/exec"
    return ("POST", path), {"vmid": argv[3], "command": "cat"}


def test_what_is_sent_is_in_the_schema(recorded):
    calls, _ = recorded
    assert len(calls) > 50
    for argv in sorted(calls):
        if argv[0] == "pveversion":
            continue
        (verb, path), given = method_of(argv)
        schema = {
            k: v["items"] if v.get("type") == "array" else v  # each is an option of its own
            for k, v in parameters(verb, path).items()
            if k != "command"
        }
        given = {k: v for k, v in given.items() if k in schema or k != "command"}
        wrong = refusals({k: v for k, v in schema.items() if k != "node"}, without_node(given))
        assert not wrong, (argv, wrong)


def without_node(given):
    return {key: value for key, value in given.items() if key != "node"}


def keys_of(schema):
    """The keys that an answer has, by the schema: a name, or one with numbers."""
    if "items" in schema:
        return keys_of(schema["items"] or {})
    return schema.get("properties", {})


def test_what_is_read_of_answers_is_in_the_schema(recorded):
    _, seen = recorded
    read = {place for place in seen if place[0] == "pvesh"}
    assert len(read) > 25
    for _, verb, path, *keys in sorted(read, key=json.dumps):
        method, _ = METHODS.find(VERBS[verb], path)
        if method.path in UNSAID:
            continue
        known = paths()[method.path][method.verb]["returns"]
        for key in keys:
            has = keys_of(known)
            name = key if key in has else re.sub(r"\d+$", "[n]", key)
            assert name in has, (method.path, keys)
            known = has[name]
