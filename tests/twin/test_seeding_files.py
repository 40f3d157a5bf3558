"""Files of a real host as its twin gets to know them: what can't be told is not nothing."""

import pytest

from homelab_lib.twin.machine.entry import FileError
from homelab_lib.twin.machine.files import FileSystem
from homelab_lib.twin.machine.seeding import loader

FOLDER = "41c0|ana|staff|4096"
FILE = "8180|ana|staff|4"


THERE = (0, f"{FILE}|/x\0", "")


def load(ask, path="/x"):
    """What the twin takes the file for; None where there is nothing."""
    return loader(ask, "desk")([path]).get(path)


DIGEST = "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7"


def host(answers):
    """A host that answers by the program, whatever the path."""

    def ask(_, argv):
        words = argv[2:] if argv[0] == "env" else argv
        return answers[words[0]]

    return ask


def test_facts_come_in_numbers_and_not_in_words():
    there = {
        "stat": THERE,
        "sha256sum": (0, f"{DIGEST}  /x\n", ""),
        "cat": (0, "text", ""),
    }
    entry = load(host(there))
    assert (entry.kind, entry.mode, entry.user, entry.group) == ("file", 0o600, "ana", "staff")
    assert (entry.sha256, entry.data) == (DIGEST, b"text")


@pytest.mark.parametrize("says", ["No such file or directory", "Not a directory"])
def test_what_the_host_says_is_not_there_is_not_there(says):
    absent = {"stat": (1, "", f"stat: cannot statx '/x': {says}\n")}
    assert load(host(absent)) is None


@pytest.mark.parametrize(
    "answers",
    [
        {"stat": (1, "", "stat: cannot statx '/x': Input/output error\n")},
        {"stat": (1, "", "sudo: Ein Passwort ist notwendig\n")},
        {"stat": (1, "", "")},
        {"stat": None},
        {
            "stat": THERE,
            "sha256sum": (1, "", "sha256sum: /x: Input/output error\n"),
        },
        {
            "stat": THERE,
            "sha256sum": (0, "a  /x\n", ""),
            "cat": (1, "", "cat: /x: x\n"),
        },
    ],
)
def test_what_the_host_can_not_tell_is_not_nothing(answers):
    assert isinstance(load(host(answers)), FileError)


@pytest.mark.parametrize(
    "names",
    [
        ["/etc/a b", "/etc/it's", "/etc/new\nline", "/etc/é: x"],
        ["/-x", "/a'b: Permission denied"],
    ],
)
def test_odd_names_that_are_not_there_are_not_there(names):
    """Whatever quotes `stat` puts around them: it complains of each in its turn."""
    said = "".join(f"stat: cannot statx $'{n!r}': No such file or directory\n" for n in names)
    assert loader(host({"stat": (1, "", said)}), "desk")(names) == {}


def test_of_several_each_has_its_own_reason():
    says = ("No such file or directory", "Permission denied", "Input/output error")
    said = "".join(f"stat: cannot statx 'x': {why}\n" for why in says)
    found = loader(host({"stat": (1, f"{FOLDER}|/d\0", said)}), "desk")(["/a", "/d", "/b", "/c"])
    assert {path: getattr(entry, "says", "there") for path, entry in found.items()} == {
        "/d": "there", "/b": "Permission denied", "/c": "Input/output error",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((1, "", "sudo: Ein Passwort ist notwendig\n"), "sudo: Ein Passwort ist notwendig"),
        ((0, "reguläre Datei|644|root|root|/x\0", ""), "reguläre Datei"),
        ((0, "81a4|root|root|many|/x\0", ""), "81a4|root|root|many"),
        ((1, "", ""), "it says nothing"),
    ],
)
def test_why_it_could_not_be_asked_is_said(answer, said):
    assert said in load(host({"stat": answer})).says


def test_folders_on_the_way_are_the_hosts_own():
    """Whose a home is decides with whose rights a file is written into it."""

    facts = {"/home": "41ed|root|root|9", "/home/ana": FOLDER}

    def ask(_, argv):
        words = argv[2:] if argv[0] == "env" else argv
        if words[0] != "stat":
            return {"sha256sum": (0, f"{DIGEST}  x\n", ""), "cat": (0, "text", "")}[words[0]]
        paths = words[words.index("--") + 1 :]
        return 0, "".join(f"{facts.get(path, FILE)}|{path}\0" for path in paths), ""

    files = FileSystem(loader=loader(ask, "desk"))
    files.read("/home/ana/.config")
    assert [files.entry(path).user for path in ("/home", "/home/ana")] == ["root", "ana"]
