"""Families of rows on a twin of each release: made once, found as wanted, left alone after."""

import pytest

from homelab_lib.control.truenas import families
from homelab_lib.control.truenas.midclt import release
from homelab_lib.control.truenas.service import NasService
from homelab_lib.errors import StepFailed
from homelab_lib.lab import load_lab
from homelab_lib.runbook.engine import Engine
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.sender import Sender
from homelab_lib.runbook.step import Runbook, Step
from homelab_lib.secret import Mask
from homelab_lib.transport.command import Result
from homelab_lib.twin.built import built

RELEASES = ("25.04.2", "25.10.0", "25.10.5", "26.0.0-BETA.3")


class Wire:
    """Carries commands to a twin's machines without SSH."""

    def __init__(self, world):
        self.world, self.sent = world, []

    def run(self, host, command):
        if command.kind == "change":
            self.sent.append(command.line)
        reply = self.world.machines[host].run(command.line, b"")
        self.world.clock.sleep(reply.takes_s)
        reply = reply.finished()
        return Result(reply.status, reply.out.decode(), reply.err.decode())


def ensure(ctx):
    """What a step of phase 1 will want."""
    known = release(ctx.host("truenas"))
    where = ("truenas", "attic", known)
    yield families.nfs_share(*where, "/mnt/tank/media", ["10.0.40.0/24"])
    yield families.smb_share(*where, "attic-media", "/mnt/tank/media", "MULTIPROTOCOL_SHARE")
    yield families.snapshot_task(*where, "tank/media", {"hour": "3"}, keep=(2, "WEEK"))
    yield families.cron_job(*where, "self-test", "smartctl -t long /dev/sda", {"hour": "2"})
    yield NasService("truenas", known, "nfs")


BOOK = Runbook("nas", "A NAS", (Step("rows", "Rows", ensure=ensure),))


def apply(wire):
    journal = Journal(None, mask=Mask(), wall=lambda: "now")
    sender = Sender(wire, wire.world.clock, journal, Mask())
    engine = Engine(BOOK, "apply", sender, trust=lambda name, key, made: None, seal=str)
    return engine.run_step("rows")


@pytest.fixture(params=RELEASES)
def wire(request):
    world = built(load_lab(), before_phase=2)
    nas = world.machines["truenas"]
    nas.version = request.param
    for row in nas.tables["nfs"].rows():
        nas.tables["nfs"].delete(row["id"])
    nas.services["nfs"].running = nas.services["nfs"].enable = False
    return Wire(world)


def test_made_once_and_left_alone(wire):
    apply(wire)
    assert len(wire.sent) == 6
    assert wire.world.machines["truenas"].services["nfs"].running
    wire.sent.clear()
    apply(wire)
    assert wire.sent == []


def test_what_drifts_is_put_back_and_nothing_else_is_sent(wire):
    apply(wire)
    wire.sent.clear()
    nas = wire.world.machines["truenas"]
    nas.tables["nfs"].rows()[0]["ro"] = True
    nas.tables["cronjob"].rows()[0]["enabled"] = False
    nas.tables["pool.snapshottask"].rows()[0]["lifetime_value"] = 9
    apply(wire)
    assert [line.split()[2] for line in wire.sent] == [
        "sharing.nfs.update",
        "pool.snapshottask.update",
        "cronjob.update",
    ]
    assert nas.tables["nfs"].rows()[0]["ro"] is False


def test_a_share_of_somebody_elses_stays_as_it_is(wire):
    nas = wire.world.machines["truenas"]
    nas.run(
        """midclt call sharing.nfs.create '{"path":"/mnt/tank/media","comment":"do not touch","""
        """"networks":["10.0.10.0/24"],"ro":true}'"""
    )
    before = [dict(row) for row in nas.tables["nfs"].rows()]
    with pytest.raises(StepFailed, match="'do not touch'"):
        apply(wire)
    assert nas.tables["nfs"].rows() == before
