"""Keys that lie about: a twin's login key, and the public key that machines are given."""

import pytest

from homelab_lib import paths
from homelab_lib.errors import BadParameter, SecretUnresolved
from homelab_lib.lab import load_lab
from homelab_lib.target import SshTarget, _operator_key, serve_twin

MINIPC = paths.data() / "examples" / "minipc"


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
        _operator_key(lab)
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
