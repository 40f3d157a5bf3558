"""Keys that lie about: a twin's login key, and the public key that machines are given."""

import errno
import os
from contextlib import ExitStack

import pytest

from homelab_lib import durable, paths
from homelab_lib.errors import BadParameter, HomelabError, HostKeyRefused, SecretUnresolved
from homelab_lib.lab import load_lab
from homelab_lib.target import SshTarget, TwinTarget
from homelab_lib.target.login_keys import operator_key
from homelab_lib.target.served import serve_twin
from homelab_lib.transport.command import change
from homelab_lib.twin import server
from homelab_lib.twin.built import built

MINIPC = paths.data() / "examples" / "minipc"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDazPdHjuPXYVwjeL8YS/dey4/DqfIQB+UTlelIAzUTO"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPqAhtu6g/pZ63axQJ64JixN2KfmuEjfrCDgPk7EVLyP"


def test_a_twin_puts_no_key_where_others_can_put_theirs(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (tmp_path / "precious").write_text("precious")
    (shared / "known_hosts").symlink_to(tmp_path / "precious")
    with (
        pytest.raises(BadParameter, match="others can write"),
        serve_twin(load_lab(MINIPC), shared, before_phase=1, speed=1),
    ):
        pass
    assert (tmp_path / "precious").read_text() == "precious"
    assert [file.name for file in shared.iterdir()] == ["known_hosts"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nCANARY\n", "should have the public one"),
        ("x" * 100_000 + "CANARY", "larger than"),
        (None, "No such file"),
    ],
)
def test_what_is_no_public_key_is_given_to_no_machine(tmp_path, text, said):
    file = tmp_path / "id.pub"
    if text is not None:
        file.write_text(text)
    lab = load_lab(MINIPC)
    lab = lab.model_copy(
        update={"operator": lab.operator.model_copy(update={"public_key": f"file:{file}"})}
    )
    with pytest.raises(SecretUnresolved, match=said) as caught:
        operator_key(lab)
    assert "CANARY" not in str(caught.value)


def test_a_machine_is_reached_where_dhcp_has_put_it_and_known_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMELAB_STATE", str(tmp_path / "state"))
    config = tmp_path / "config"
    config.write_text("")
    lab = load_lab(MINIPC)
    leased = lab.vms["play"].model_copy(update={"address": "dhcp"})
    lab = lab.model_copy(update={"vms": {"play": leased}})
    target = SshTarget(lab, str(config), allow_changes=False)
    try:
        before = target.hosts()
        target.locate("play", "192.0.2.77")
        endpoint = target.link._endpoint("play")
        assert (endpoint.address, endpoint.key_name) == ("192.0.2.77", "play")
        assert target.hosts() == before, "what was approved is still for the same machine"
        target.locate("play", "192.0.2.78")
        assert target.link._endpoint("play").address == "192.0.2.78"
    finally:
        target.close()
    config.write_text("Host play\n    HostName play.example\n")
    target = SshTarget(lab, str(config), allow_changes=False)
    try:
        target.locate("play", "192.0.2.77")
        assert target.link._endpoint("play").address == "play.example", "the person knows better"
    finally:
        target.close()


@pytest.fixture
def reached(tmp_path, monkeypatch):
    """The lab as reached by a configuration: `reached("Host play …")`."""
    monkeypatch.setenv("HOMELAB_STATE", str(tmp_path / "state"))
    config = tmp_path / "config"
    with ExitStack() as targets:

        def make(text):
            config.write_text(text)
            target = SshTarget(load_lab(MINIPC), str(config), allow_changes=False)
            targets.callback(target.close)
            return target

        yield make


def test_it_is_told_who_has_settled_each_login(reached, tmp_path):
    told = reached("Host play\n Port 2222\n").logins
    assert told.keys() == load_lab(MINIPC).machines().keys()
    assert all(str(tmp_path / "config") in by for by in told.values())


def test_a_machine_is_given_the_public_half_that_the_configuration_names(reached, tmp_path):
    (tmp_path / "half.pub").write_text(f"{KEY} mine\n")
    target = reached(f"Host play\n IdentityFile {tmp_path}/half.pub\n")
    assert target.public_key("play") == f"{KEY} mine"


def test_a_key_learnt_of_a_machine_has_to_be_the_known_one_unless_it_is_certified(
    reached, tmp_path
):
    known = tmp_path / "known"
    target = reached(f"Host play\n HostName 192.0.2.7\n UserKnownHostsFile {known}\n")
    known.write_text(f"192.0.2.7 {OTHER}\n")
    with pytest.raises(HostKeyRefused, match="has changed"):
        target.trust("play", KEY, made=False)
    known.write_text(f"192.0.2.7 {KEY}\n")
    target.trust("play", KEY, made=False)
    known.write_text(f"@cert-authority 192.0.2.* {OTHER}\n")
    target.trust("play", KEY, made=False)  # at login it has to show a certificate
    shown = next(host.key for host in target.hosts() if host.name == "play")
    assert shown.startswith("CA SHA256:")


def test_what_a_runbook_sends_is_waited_for_however_busy_the_computer_is(monkeypatch):
    """Only a terminal's client leaves its input open; ours ends it."""
    monkeypatch.setattr(server, "_SILENCE_S", 1e-9)
    target = TwinTarget.before_phase(load_lab(MINIPC), 2)
    try:
        for _ in range(5):
            said = target.link.run("mini", change("cat", stdin="all of it"))
            assert said.stdout == "all of it"
    finally:
        target.close()


def test_a_twin_without_room_for_its_keys_says_so(monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(durable, "replace", full)
    world = built(load_lab(MINIPC), before_phase=1)
    with pytest.raises(HomelabError, match="No space left") as told:
        TwinTarget(load_lab(MINIPC), world, allow_changes=False)
    assert "TMPDIR" in told.value.fix
