"""Our own script that puts a file in its place: run here and on the twin, it leaves the same.

What is looked at, what is said of it, what the command answers and what lies there afterwards are
compared, step by step. The ledger lies in the test's own folder.
"""

import subprocess
from pathlib import Path

import pytest

from contract.same import IS_ROOT, environment, folder, left, left_on, plain, twin_machine
from homelab_lib.control.linux import File
from homelab_lib.errors import StepFailed
from homelab_lib.secret import Secret
from homelab_lib.transport.command import Result
from homelab_lib.twin.machine.program import Call, Pipe

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(not IS_ROOT, reason="our commands run as root"),
]


class Host:
    """What a resource sees of a host, for a test that has a folder there."""

    name = "here"

    def __init__(self, place):
        self.place = place

    def read(self, *argv, ok=(0,), **options):
        result = self.run(argv, b"")
        if ok is not None and result.exit_status not in ok:
            raise StepFailed(result.stderr, where=self.name)
        return result

    def begun(self, resource):
        return False

    def cut(self, text, limit, *, end=False):
        return text[-limit:] if end else text[:limit]

    def seal(self, text):
        return f"sealed {len(text)}"

    def sent(self, command, cut=None):
        """What a change answers; `cut` characters of its input get there."""
        text = command.stdin or ""
        text = (text.reveal() if isinstance(text, Secret) else text).encode()
        return self.run(command.argv, text[:cut])

    def run(self, argv, stdin):
        words = [word.replace("/var/lib/homelab", f"{self.place}/ledger") for word in argv]
        return Result(*self.answer(words, stdin))


class Here(Host):
    def answer(self, words, stdin):
        done = subprocess.run(
            words, input=stdin, capture_output=True, cwd=self.place, umask=0o022, timeout=20,
            env=environment("root"), check=False,
        )  # fmt: skip
        return done.returncode, done.stdout.decode(), plain(done.stderr)

    def left(self):
        return left(Path(self.place))


class OnTwin(Host):
    def __init__(self, place):
        super().__init__(place)
        self.machine = twin_machine()
        self.machine.files.make_folder(place)

    def answer(self, words, stdin):
        call = Call(tuple(words), Pipe(stdin), "root", environment("root"), self.place)
        reply = self.machine.call(call).finished()
        return reply.status, reply.out.decode(), plain(reply.err)

    def left(self):
        return left_on(self.machine, self.place)


def secret(text):
    return Secret("test", lambda: text)


NOBODYS = "mkdir home; chown nobody:nogroup home; "
CASES = {
    "new, with its folders": ("", {"path": "a/b/conf"}),
    "private": ("", {"path": "a/key", "mode": "600"}),
    "that can be run": ("", {"path": "tool", "mode": "755"}),
    "set-user": ("", {"path": "tool", "mode": "4750"}),
    "empty": ("", {"path": "conf", "content": ""}),
    "large": ("", {"path": "conf", "content": "0123456789abcdef" * 40_000}),
    "secret": ("", {"path": "key", "mode": "600", "content": secret("s3cret\n")}),
    "odd name": ("", {"path": 'a b/it\'s "odd"\n\\$(x) é'}),
    "leading dash": ("", {"path": "-rf"}),
    "another's": ("", {"path": "conf", "owner": "nobody:nogroup"}),
    "a group's": ("", {"path": "conf", "owner": "root:nogroup", "mode": "640"}),
    "in a user's folder": (NOBODYS, {"path": "home/x/conf", "owner": "nobody:nogroup"}),
    "root's in a user's folder": (NOBODYS, {"path": "home/conf"}),
    "a link in a user's folder": (
        f"{NOBODYS} ln -s /etc home/x; chown -h nobody home/x",
        {"path": "home/x/conf", "owner": "nobody:nogroup"},
    ),
    "as wanted": ("printf 'new\\n' > conf", {"path": "conf"}),
    "foreign": ("echo theirs > conf", {"path": "conf"}),
    "adopted": ("echo theirs > conf", {"path": "conf", "adopt": True}),
    "adopted again": (
        "echo theirs > conf; echo older > conf.before-homelab",
        {"path": "conf", "adopt": True},
    ),
    "a folder in its place": ("mkdir conf", {"path": "conf"}),
    "a link in its place": ("ln -s other conf; echo x > other", {"path": "conf"}),
    "a dangling link": ("ln -s nowhere conf", {"path": "conf"}),
    "a loop": ("ln -s conf conf", {"path": "conf"}),
    "a loop on the way": ("ln -s a a", {"path": "a/conf"}),
    "a file on the way": ("echo x > a", {"path": "a/conf"}),
    "a link on the way": ("mkdir real; ln -s real a", {"path": "a/conf"}),
    "a pipe in its place": ("mkfifo conf", {"path": "conf"}),
    "in a group's folder": ("mkdir a; chgrp nogroup a; chmod 2775 a", {"path": "a/b/conf"}),
    "what an earlier try left": ("echo half > conf.homelab-new", {"path": "conf"}),
    "a link that an earlier try left": ("ln -s /etc/passwd conf.homelab-new", {"path": "conf"}),
}


def both(place, before):
    """The two hosts with what is there before."""
    hosts = (Here(place), OnTwin(place))
    for host in hosts:
        if isinstance(host, OnTwin) and "mkfifo" in before:
            host.machine.files.put(f"{place}/conf", "")
            host.machine.files.stat(f"{place}/conf").kind = "pipe"
        elif before:
            assert host.run(("sh", "-ec", before), b"").exit_status == 0
    return hosts


def file(place, path, content="new\n", owner="root:root", **more):
    return File("here", f"{place}/{path}", content, owner=owner, lab="attic", **more)


def done(host, resource, *, between="", cut=None):
    """What a resource sees and says, what its change answers, and what is there then."""
    try:
        seen = resource.observe(host)
    except StepFailed as error:
        return [str(error), host.left()]
    diff = resource.diff(seen)
    if between:
        assert host.run(("sh", "-ec", between), b"").exit_status == 0
    answers = [host.sent(change.call, cut) for change in diff.changes]
    said = [(a.exit_status, a.stdout, a.stderr) for a in answers]
    changes = [(change.summary, change.replaces) for change in diff.changes]
    return [seen, diff.conflict, changes, said, host.left()]


@pytest.mark.parametrize("name", CASES)
def test_a_file_is_placed_alike(name):
    before, wanted = CASES[name]
    with folder() as place:
        here, there = both(place, before)
        resource = file(place, **wanted)
        assert done(there, resource) == done(here, resource)
        assert done(there, resource) == done(here, resource)  # and is found in its place


@pytest.mark.parametrize("content", ["new and longer\n", secret("new and longer\n")])
def test_of_a_text_that_is_cut_off_nothing_is_placed(content):
    with folder() as place:
        here, there = both(place, "")
        resource = file(place, "conf", content)
        told = done(here, resource, cut=4)
        assert done(there, resource, cut=4) == told
        assert told[3][0][0] != 0
        assert told[4] == ()


@pytest.mark.parametrize(
    ("before", "between", "adopt"),
    [
        ("", "echo theirs > conf", False),
        ("", "ln -s x conf", False),
        ("echo theirs > conf", "echo other > conf", True),
        ("echo theirs > conf", "rm conf", True),
        ("echo theirs > conf", "rm conf; mkdir conf", True),
    ],
)
def test_what_changed_since_we_looked_is_left_alone(before, between, adopt):
    with folder() as place:
        here, there = both(place, before)
        resource = file(place, "conf", adopt=adopt)
        told = done(here, resource, between=between)
        assert done(there, resource, between=between) == told
        assert told[3][0][0] != 0


def test_ours_is_rewritten():
    with folder() as place:
        here, there = both(place, "")
        for content in ("one\n", "two\n", "one\n"):
            resource = file(place, "conf", content)
            assert done(there, resource) == done(here, resource)
