"""Many commands in one round trip, to a twin's machines as to real ones."""

import pytest

from homelab_lib.errors import NotSent, OutcomeUnknown
from homelab_lib.lab import load_lab
from homelab_lib.secret import Secret
from homelab_lib.target import TwinTarget
from homelab_lib.transport.command import Result, change, read


@pytest.fixture
def target():
    target = TwinTarget.before_phase(load_lab(), 2)
    yield target
    target.close()


@pytest.mark.parametrize("host", ["desktop", "truenas", "proxmox"])
def test_each_gets_its_own_and_answers_for_itself(target, host):
    secret = Secret("x", lambda: "it's hush\n\n")
    outcomes = target.link.run_many(
        host,
        [
            change("cat", stdin=secret),
            change("tee", "/tmp/a", stdin="%s\\n {no} $HOME `x`", sudo=True),
            read("cat", "/tmp/a"),
            read("cat", "/none"),
            read("sha256sum", "/tmp/a", sudo=True),
        ],
    )
    assert outcomes[0].stdout == "it's hush\n\n"
    assert outcomes[1].stdout == outcomes[2].stdout == "%s\\n {no} $HOME `x`"
    assert [o.exit_status for o in outcomes] == [0, 0, 0, 1, 0]
    assert "No such file" in outcomes[3].stderr
    assert outcomes[3].stdout == outcomes[4].stderr == ""


def test_bytes_arrive_as_they_are(target):
    outcomes = target.link.run_many(
        "desktop", [change("base64", stdin=bytes(range(256))), read("id", "-un")]
    )
    one = target.link.run("desktop", change("base64", stdin=bytes(range(256))))
    assert outcomes[0].stdout == one.stdout


def test_a_change_that_fails_ends_it(target):
    outcomes = target.link.run_many(
        "desktop", [change("touch", "/tmp/a"), change("false"), change("rm", "/tmp/a")]
    )
    assert [type(o) for o in outcomes] == [Result, Result, NotSent]
    assert target.link.run("desktop", read("test", "-e", "/tmp/a")).ok


def test_a_link_cut_before_leaves_all_of_them_unknown(target):
    target.world.faults.arm("cut-before", "touch /tmp/b")
    calls = [change("touch", "/tmp/a"), change("touch", "/tmp/b")]
    outcomes = target.link.run_many("desktop", calls)
    assert [type(o) for o in outcomes] == [OutcomeUnknown, OutcomeUnknown]
    assert target.link.run("desktop", read("test", "-e", "/tmp/a")).exit_status == 1
    assert [o.exit_status for o in target.link.run_many("desktop", calls)] == [0, 0]
