"""A twin of real hosts, whatever they answer."""

import random
import shlex

import pytest

from homelab_lib.errors import HomelabError
from homelab_lib.lab import load_lab
from homelab_lib.twin.built import built
from homelab_lib.twin.seeding import seeded
from mutations import documents, texts

LAB = load_lab()


class Hosts:
    """Hosts that answer as they are, but for one question."""

    def __init__(self) -> None:
        self.world = built(LAB, before_phase=2)
        self.asked: dict[tuple[str, tuple[str, ...]], tuple[int, str, str]] = {}
        self.instead: dict[tuple[str, tuple[str, ...]], tuple[int, str, str]] = {}
        self.broken = ""
        self.questions: list[tuple[str, tuple[str, ...]]] = []

    def __call__(self, host, argv):
        question = (host, tuple(argv))
        if question in self.instead:
            return self.instead[question]
        if self.broken and "stat" in argv and "/root" in argv:
            lines = [f"stat: cannot statx '{path}': {self.broken}\n" for path in argv[6:]]
            return 1, "", "".join(lines)
        if question not in self.asked:
            reply = self.world.machines[host].run(f"sudo -n -- {shlex.join(argv)}").finished()
            self.asked[question] = (reply.status, reply.out.decode(), reply.err.decode())
        return self.asked[question]


@pytest.fixture(scope="module")
def hosts():
    hosts = Hosts()
    seeded(LAB, hosts)
    hosts.questions = sorted(hosts.asked)  # an answer of another form leads to others
    return hosts


# What the hosts answered, and what becomes of a plan where one of it is otherwise.
ROUNDS, AT_ONCE = 8, 10


def _others(answer):
    """Other answers than this one."""
    status, out, _ = answer
    yield from texts(out)
    if status == 0 and out.lstrip()[:1] in ("[", "{"):
        yield from documents(out)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_an_answer_of_another_form_is_a_clear_error_or_none(hosts, seed):
    rng = random.Random(seed)
    assert len(hosts.questions) > 20
    for question in rng.sample(hosts.questions, AT_ONCE):
        hosts.instead = {question: (0, rng.choice(list(_others(hosts.asked[question]))), "")}
        error = _seeded(hosts)
        hosts.instead = {}
        if error is not None:
            assert error.where.startswith(f"{question[0]}: "), (question, error)


_RELEASE = ("cat", "/etc/os-release")
_NO_DPKG = ("dpkg-query", "-W", "-f", r"${Package}\t${Version}\n")


@pytest.mark.parametrize(
    ("complaint", "is_an_answer"),
    [
        ("", True),  # Debian's and BusyBox' say nothing
        ("sudo: unable to resolve host pve1: Name or service not known\n", True),
        ("/usr/bin/which: no wget in (/usr/local/bin:/usr/bin)\n", True),
        ("env: which: Input/output error\n", False),
        ("/usr/bin/which: no wget in (/usr/bin)\nwhich: Input/output error\n", False),
    ],
)
@pytest.mark.parametrize("there", [{"curl"}, set()])
def test_only_that_a_program_is_nowhere_is_said_by_a_failure_of_which(
    hosts, complaint, is_an_answer, there
):
    hosts.instead = {
        ("proxmox", _NO_DPKG): (127, "", "env: 'dpkg-query': No such file or directory\n"),
        # Of both at once GNU's would end with 2, where neither is there.
        ("proxmox", ("which", "curl", "wget")): (2 - len(there), "", complaint),
    }
    for name in ("curl", "wget"):
        found = (0, f"/usr/bin/{name}\n", "") if name in there else (1, "", complaint)
        hosts.instead["proxmox", ("which", name)] = found
    try:
        if is_an_answer:
            assert set(seeded(LAB, hosts).machines["proxmox"].packages) == there
        else:
            with pytest.raises(HomelabError, match="Input/output error"):
                seeded(LAB, hosts)
    finally:
        hosts.instead = {}


def _seeded(hosts):
    """Seed a twin; None, or what it could not make anything of."""
    try:
        seeded(LAB, hosts)
    except HomelabError as error:
        return error
    return None


@pytest.mark.parametrize("seed", range(3))
def test_a_command_that_fails_has_not_said_that_there_is_nothing(hosts, seed):
    """It stops the plan, or the file that it was asked of can't be read on the twin either."""
    rng = random.Random(seed)
    readers = {"stat", "cat", "sha256sum", "readlink"}
    asked = [q for q in hosts.questions if q[1] == _RELEASE or not readers & set(q[1][:3])]
    for question in rng.sample(asked, 12):
        hosts.instead = {question: (1, "", "the disk is broken\n")}
        try:
            with pytest.raises(HomelabError, match="the disk is broken") as caught:
                seeded(LAB, hosts)
            assert caught.value.where == f"{question[0]}: {' '.join(question[1])}"
        finally:
            hosts.instead = {}


def test_what_a_host_can_not_read_the_twin_can_not_read_either(hosts):
    """Whatever it fails with: only one word means that there is nothing."""
    for said in ("Input/output error", "Permission denied", "Stale file handle"):
        hosts.broken = said
        try:
            world = seeded(LAB, hosts)
            machine = world.machines["proxmox"]
            reply = machine.run("sudo -n -- stat /root/.kube/config").finished()
            assert reply.err.decode().endswith(f": {said}\n")
            reply = machine.run("sudo -n -- cat /root/.kube/config").finished()
            assert said in reply.err.decode()
        finally:
            hosts.broken = ""
