"""A twin of real hosts, whatever they answer."""

import random
import shlex
from contextlib import suppress

import pytest

from homelab_lib.errors import HomelabError
from homelab_lib.lab import load_lab
from homelab_lib.twin.built import built
from homelab_lib.twin.seeding import seeded

LAB = load_lab()
JUNK = ("", "null", "[]", "{}", "7", '"x"', "[null]", "[{}]", "[" * 100_000, "<html>", "\0\x1b[2J")


class Hosts:
    """Hosts that answer as they are, but for one question."""

    def __init__(self) -> None:
        self.world = built(LAB, before_phase=2)
        self.asked: dict[tuple[str, tuple[str, ...]], tuple[int, str, str]] = {}
        self.instead: dict[tuple[str, tuple[str, ...]], str] = {}

    def __call__(self, host, argv):
        question = (host, tuple(argv))
        if question in self.instead:
            return 0, self.instead[question], ""
        if question not in self.asked:
            reply = self.world.machines[host].run(f"sudo -n -- {shlex.join(argv)}").finished()
            self.asked[question] = (reply.status, reply.out.decode(), reply.err.decode())
        return self.asked[question]


@pytest.fixture(scope="module")
def hosts():
    hosts = Hosts()
    seeded(LAB, hosts)
    return hosts


@pytest.mark.parametrize("junk", JUNK)
def test_an_answer_of_another_form_is_a_clear_error_or_none(hosts, junk):
    questions = sorted(hosts.asked)
    assert len(questions) > 20
    for question in random.Random(junk).sample(questions, 12):
        hosts.instead = {question: junk}
        with suppress(HomelabError):
            seeded(LAB, hosts)
        hosts.instead = {}
