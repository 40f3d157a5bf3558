"""Whatever is cut off when: the same command again, and the lab is as if nothing had happened.

Every runbook's every change is cut off on copies of the lab (`crashing`). Those of phase 2 are cut
off besides as a person would meet it: with a plan that was approved, and a look at the end.
"""

import os
import random
import re

import pytest

from crashing import Site, otherwise
from homelab_lib.lab import load_lab
from homelab_lib.recipes import named
from homelab_lib.session.rehearsed import earlier, rehearse
from homelab_lib.target.twin import TwinTarget
from standing import standing as serve_standing

BOOKS = (
    *("phase1", "phase1_proxmox", "phase1_network", "phase1_access"),
    *("phase2", "phase3", "phase4", "phase4_backup"),
)
SAMPLED = 5
"""How many points of a runbook CI takes."""
WHOLE = 20
"""Where all are taken, of how many one goes on to the runbook's end however the lab stands."""


class Walk:
    """A house that is carried out runbook by runbook, each cut off at a share of its points."""

    def __init__(self, share, folder):
        self.share = share
        self.lab = load_lab()
        self.books = [each.name for each in earlier(self.lab, None)]
        jobs = 1 if share == "sample" else int(os.environ.get("HOMELAB_JOBS", os.cpu_count() or 1))
        whole = 1 if share == "sample" else WHOLE
        self.site = Site(self.lab, TwinTarget.before_phase(self.lab, 1), folder, jobs, whole)

    def choose(self, book):
        """Of a runbook's points, those that are tried: the same every time."""
        if self.share == "every":
            return lambda every: every
        return lambda every: random.Random(book).sample(every, min(SAMPLED, len(every)))

    def prove(self, book):
        """What came of a runbook, after those before it."""
        while (first := self.books.pop(0)) != book:
            with self.site.opened() as target:
                rehearse(self.lab, named(first), target)
        return self.site.prove(named(book), self.choose(book))


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("sample", marks=pytest.mark.sample),
        pytest.param("every", marks=pytest.mark.long),
    ],
)
def walk(request, tmp_path_factory):
    """The house, before its first runbook."""
    return Walk(request.param, tmp_path_factory.mktemp("walk"))


@pytest.mark.parametrize("book", BOOKS)
def test_cut_off_anywhere_the_same_command_ends_in_the_same_state(walk, book, request):
    proof = walk.prove(book)
    request.node.user_properties.append(("cut off", [book, proof.tried, proof.points]))
    assert proof.tried == (proof.points if walk.share == "every" else SAMPLED)
    assert not proof.failed, "\n".join(proof.failed)


def test_no_runbook_is_left_out():
    assert tuple(each.name for each in earlier(load_lab(), None)) == BOOKS


# Of a script each is a point before it, and, where it moves a file to its place, one within.
CHANGES = (
    r"^(sudo -n -- )?(systemd-run|sh -c|runuser|mv -fT|pvesm set|pvesh set|"
    r"qm (create|disk|start|unlock|destroy)|k3s kubectl apply|systemctl stop|"
    r"midclt call (pool.dataset.create|sharing.nfs.create|service.(control|update)))"
)
COUNT = 53
"""How many such commands phase 2 takes; a test below holds it."""

KINDS = ("cut-before", "cut-after", "cut-mid", "reboot")
ALL = [(kind, nth) for kind in KINDS for nth in range(1, COUNT + 1)]
SAMPLE = {("cut-before", 2), ("cut-after", 32), ("cut-mid", 40), ("reboot", 9), ("reboot", 13)}
"""What CI takes; `make test-crash` takes them all. The usual tests cut off changes of a node and of
a NAS, which are cheaper."""

POINTS = [
    pytest.param(*point, marks=pytest.mark.sample if point in SAMPLE else pytest.mark.long)
    for point in ALL
]


@pytest.fixture(scope="session")
def reference(tmp_path_factory):
    """What is there after a run that nothing disturbed, and its lines that are such commands."""
    folder = tmp_path_factory.mktemp("undisturbed")
    seen = []
    with pytest.MonkeyPatch.context() as patch, serve_standing(folder, patch) as there:
        digest = there.planned()
        strike = there.world.faults.strike

        def watch(machine, line):
            if re.search(CHANGES, line.replace("env LC_ALL=C ", "")):
                seen.append(line)
            return strike(machine, line)

        there.world.faults.strike = watch
        there.until_done(digest, tries=1)
        return there.world.state(), seen


@pytest.mark.parametrize(("kind", "nth"), POINTS)
def test_the_same_command_finishes_the_job(standing, reference, kind, nth):
    undisturbed, _ = reference
    digest = standing.planned()
    standing.world.faults.arm(kind, CHANGES, nth=nth)
    standing.until_done(digest)
    assert otherwise(standing.world.state(), undisturbed) == []
    assert standing.run("verify").error is None


@pytest.mark.sample
def test_no_change_is_left_out_of_the_points(reference):
    _, seen = reference
    assert len(seen) == COUNT
