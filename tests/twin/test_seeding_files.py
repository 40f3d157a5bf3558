"""Files of a real host as its twin gets to know them: what can't be told is not nothing."""

import pytest

from homelab_lib.twin.machine.files import FileError, FileSystem
from homelab_lib.twin.machine.seeding import load

FOLDER = "41c0|700|ana|staff|4096\n"
FILE = "8180|600|ana|staff|4\n"


def host(answers):
    """A host that answers by the program, whatever the path."""

    def ask(_, argv):
        words = argv[2:] if argv[0] == "env" else argv
        return answers[words[0]]

    return ask


def test_facts_come_in_numbers_and_not_in_words():
    there = {"stat": (0, FILE, ""), "sha256sum": (0, "abc  /x\n", ""), "cat": (0, "text", "")}
    entry = load(host(there), "desk", "/x")
    assert (entry.kind, entry.mode, entry.user, entry.group) == ("file", 0o600, "ana", "staff")
    assert (entry.sha256, entry.data) == ("abc", b"text")


@pytest.mark.parametrize("says", ["No such file or directory", "Not a directory"])
def test_what_the_host_says_is_not_there_is_not_there(says):
    absent = {"stat": (1, "", f"stat: cannot statx '/x': {says}\n")}
    assert load(host(absent), "desk", "/x") is None


@pytest.mark.parametrize(
    "answers",
    [
        {"stat": (1, "", "stat: cannot statx '/x': Input/output error\n")},
        {"stat": (1, "", "sudo: Ein Passwort ist notwendig\n")},
        {"stat": (1, "", "")},
        {"stat": None},
        {"stat": (0, FILE, ""), "sha256sum": (1, "", "sha256sum: /x: Input/output error\n")},
        {"stat": (0, FILE, ""), "sha256sum": (0, "a  /x\n", ""), "cat": (1, "", "cat: /x: x\n")},
    ],
)
def test_what_the_host_can_not_tell_is_not_nothing(answers):
    with pytest.raises(FileError):
        load(host(answers), "desk", "/x")


def test_folders_on_the_way_are_the_hosts_own():
    """Whose a home is decides with whose rights a file is written into it."""

    def loader(path):
        facts = {"/home": "41ed|755|root|root|9", "/home/ana": FOLDER}
        shown = (0, facts[path], "") if path in facts else (0, FILE, "")
        answers = {"stat": shown, "sha256sum": (0, "a  x\n", ""), "cat": (0, "text", "")}
        return load(host(answers), "desk", path)

    files = FileSystem(loader=loader)
    files.read("/home/ana/.config")
    assert [files.entry(path).user for path in ("/home", "/home/ana")] == ["root", "ana"]
