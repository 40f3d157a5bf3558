"""Whatever is cut off when: the same command again, and the lab is as if nothing had happened."""

import random
import re

import pytest

from standing import differences
from standing import standing as serve_standing

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
SAMPLE |= set(random.Random(20261126).sample(ALL, 40))
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
    left = differences(standing.world.state(), undisturbed)
    # Proxmox itself leaves half a download behind when its host restarts, and so does its twin.
    assert [line for line in left if ".tmp_dwnl." not in line] == []
    assert standing.run("verify").error is None


@pytest.mark.sample
def test_no_change_is_left_out_of_the_points(reference):
    _, seen = reference
    assert len(seen) == COUNT
