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
    questions = sorted(hosts.asked)
    assert len(questions) > 20
    for question in rng.sample(questions, AT_ONCE):
        hosts.instead = {question: (0, rng.choice(list(_others(hosts.asked[question]))), "")}
        error = _seeded(hosts)
        hosts.instead = {}
        if error is not None:
            assert error.where.startswith(f"{question[0]}: "), (question, error)


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
    readers = ("stat", "cat", "sha256sum", "readlink")
    # Where one ends with 1 there is no such program; without a clock the twin takes its own.
    readers += ("which", "ifreload", "date")
    asked = [q for q in sorted(hosts.asked) if not set(readers) & set(q[1][:3])]
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
