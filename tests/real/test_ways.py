"""Several hosts, and hosts behind hosts."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from homelab_lib.errors import (
    AuthenticationRefused,
    HostKeyRefused,
    OutcomeUnknown,
    Refused,
    Unreachable,
)
from homelab_lib.transport.command import change, read
from homelab_lib.transport.fleet import Fleet
from real.opensshd import until

pytestmark = pytest.mark.real


@pytest.fixture
def pve(server):
    with server() as host:
        yield host


@pytest.fixture
def hidden(server, network):
    with server(network.hidden) as host:
        yield host


@pytest.fixture
def door(server, network):
    """One more sshd where `nas` lives, to be killed."""
    with server(network.nas, port=2022) as host:
        yield host


def fleet(*endpoints, allow_changes=True, **settings):
    return Fleet({e.name: e for e in endpoints}, allow_changes=allow_changes, **settings)


def where(host):
    """Prints the address and port of the host, as it sees the connection."""
    return change("sh", "-c", 'set -- $SSH_CONNECTION; echo "$1 $3 $4"')


def test_hosts_are_asked_side_by_side(nas, pve, tmp_path):
    """Each waits for the other at a named pipe, so that one after the other would never end."""
    os.mkfifo(tmp_path / "pipe")
    commands = {
        "nas": change("timeout", "9", "sh", "-c", f"echo met > {tmp_path}/pipe; echo wrote"),
        "pve": change("timeout", "9", "cat", f"{tmp_path}/pipe"),
    }
    with fleet(nas.endpoint(), pve.endpoint(name="pve")) as hosts:
        told = hosts.run_all(commands)
    assert {name: result.stdout for name, result in told.items()} == {
        "nas": "wrote\n",
        "pve": "met\n",
    }


def test_one_host_s_trouble_does_not_hide_the_other_s_answer(nas, pve):
    pve.kill()
    with fleet(nas.endpoint(), pve.endpoint(name="pve")) as hosts:
        told = hosts.run_all({"nas": read("true"), "pve": read("true")})
    assert told["nas"].ok
    assert isinstance(told["pve"], Unreachable)


def test_a_plan_sends_no_change(pve, tmp_path):
    command = change("touch", str(tmp_path / "made"))
    with fleet(pve.endpoint(), allow_changes=False) as hosts:
        with pytest.raises(Refused, match="may change nothing"):
            hosts.run("nas", command)
        with pytest.raises(Refused):
            hosts.run_all({"nas": command})
        assert pve.links() == 0
        assert hosts.run("nas", read("test", "-e", str(tmp_path / "made"))).exit_status == 1


def test_a_hidden_host_is_reached_through_another_and_only_so(network, nas, hidden, connect):
    if network.isolated:
        with pytest.raises(Unreachable, match="can't be reached"):
            connect(hidden.endpoint(connect_timeout_s=2.0)).run(read("true"))
    jumped = hidden.endpoint(name="hidden", proxy_jump=nas.endpoint())
    with fleet(jumped) as hosts:
        seen = hosts.run("hidden", where(hidden)).stdout.split()
        assert seen[1:] == [hidden.address, str(hidden.port)]
        # The jump host's inner address, which differs from any of ours.
        assert not network.isolated or seen[0] == hidden.address.removesuffix("2") + "1"
        big = hosts.run("hidden", change("sh", "-c", "head -c 3000000 /dev/zero"))
        assert len(big.stdout) == 3_000_000


def test_the_link_of_the_jump_host_is_shared(door, hidden):
    jumped = hidden.endpoint(name="hidden", proxy_jump=door.endpoint(name="door"))
    with fleet(door.endpoint(name="door"), jumped) as hosts:
        told = hosts.run_all({"door": read("true"), "hidden": read("true")})
        assert all(result.ok for result in told.values())
        assert (door.links(), hidden.links()) == (1, 1)


def test_a_jump_vouches_for_nobody(nas, hidden):
    """Every host on the way is checked, and has to let us in, on its own."""
    hidden.known_hosts.write_text("")
    jumped = hidden.endpoint(name="hidden", proxy_jump=nas.endpoint())
    with fleet(jumped) as hosts, pytest.raises(HostKeyRefused, match=r"^hidden shows"):
        hosts.run("hidden", read("true"))
    hidden.vouch()
    (hidden.folder / "authorized_keys").write_text("")
    with (
        fleet(jumped) as hosts,
        pytest.raises(AuthenticationRefused, match=r"^hidden does not"),
    ):
        hosts.run("hidden", read("true"))


def test_a_hidden_host_that_is_down(nas, hidden):
    hidden.kill()
    jumped = hidden.endpoint(name="hidden", proxy_jump=nas.endpoint())
    with fleet(jumped) as hosts, pytest.raises(Unreachable, match="can't be reached through nas"):
        hosts.run("hidden", read("true"))


def test_a_jump_host_that_restarts_is_gone_through_again(door, hidden):
    pauses = []
    jumped = hidden.endpoint(name="hidden", proxy_jump=door.endpoint(name="door"))
    with fleet(jumped, sleep=pauses.append) as hosts:
        assert hosts.run("hidden", change("true")).ok
        door.kill()
        door.start()
        assert hosts.run("hidden", change("true")).ok
    assert pauses == []


def test_a_jump_host_that_dies_under_a_change_of_another(door, hidden, tmp_path):
    jumped = hidden.endpoint(name="hidden", proxy_jump=door.endpoint(name="door"))
    with fleet(jumped) as hosts, ThreadPoolExecutor() as pool:
        script = f"touch {tmp_path}/started; exec sleep 60"
        outcome = pool.submit(hosts.run, "hidden", change("sh", "-c", script))
        until("it runs", (tmp_path / "started").exists)
        door.kill()
        with pytest.raises(OutcomeUnknown, match="the connection broke"):
            outcome.result(timeout=10)


def test_a_tunnel_reaches_what_only_the_host_sees(nas, hidden):
    with fleet(nas.endpoint()) as hosts:
        tunnel = hosts.tunnel("nas", hidden.address, hidden.port)
        tunnel.settimeout(5)
        assert tunnel.recv(8) == b"SSH-2.0-"
        tunnel.close()


@pytest.mark.parametrize("listens", [False, True], ids=["nobody listens", "forwarding is off"])
def test_a_tunnel_that_can_not_be(server, connect, listens):
    with server(options=["AllowTcpForwarding no"] if listens else []) as host:
        link = connect(host.endpoint())
        with pytest.raises(Unreachable, match="AllowTcpForwarding"):
            link.tunnel(host.address, host.port if listens else 1)
        assert link.run(read("true")).ok
