"""Where a host is reached: what ssh_config says, and the lab where it says nothing."""

import subprocess
import sys

import pytest

from homelab_lib.errors import BadParameter
from homelab_lib.transport.endpoint import Endpoint


@pytest.fixture
def resolve(tmp_path, monkeypatch):
    """Resolve a name against a configuration given as text."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USER", "me")
    monkeypatch.setenv("LOGNAME", "me")
    folder = tmp_path / ".ssh"
    folder.mkdir()

    def resolve(text, name="nas", **lab):
        (folder / "config").write_text(text)
        return Endpoint.resolve(name, **lab)

    return resolve


def test_the_lab_says_what_the_configuration_leaves_open(resolve):
    nas = resolve("", address="10.0.30.10", port=2222, user="admin", shell="csh")
    assert (nas.place, nas.user, nas.shell) == ("10.0.30.10:2222", "admin", "csh")
    assert nas.use_agent
    assert not nas.identities_only


def test_without_any_address_the_name_is_looked_up(resolve):
    assert resolve("").address == "nas"


def test_there_need_not_be_a_configuration(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Endpoint.resolve("nas", address="10.0.30.10").address == "10.0.30.10"


def test_the_configuration_wins(resolve, tmp_path):
    nas = resolve(
        """
        Host nas
          HostName 192.168.1.5
          Port 2200
          User root
          IdentityFile ~/keys/%h
          IdentitiesOnly yes
          UserKnownHostsFile ~/known other
          GlobalKnownHostsFile none
          HostKeyAlias NAS.lan
          ConnectTimeout 3
        Host *
          User nobody
        """,
        address="10.0.30.10",
        user="admin",
    )
    assert nas == Endpoint(
        name="nas",
        address="192.168.1.5",
        port=2200,
        user="root",
        identity_files=(str(tmp_path / "keys/192.168.1.5"),),
        identities_only=True,
        known_hosts_files=(str(tmp_path / "known"), "other"),
        host_key_alias="NAS.lan",
        connect_timeout_s=3.0,
    )
    assert nas.key_name == "nas.lan"


@pytest.mark.parametrize(
    ("address", "port", "name"),
    [
        ("10.0.30.10", 22, "10.0.30.10"),
        ("10.0.30.10", 2201, "[10.0.30.10]:2201"),
        ("NAS.lan", 22, "nas.lan"),
        ("fd00::5", 22, "fd00::5"),
        ("fd00::5", 2201, "[fd00::5]:2201"),
    ],
)
def test_the_name_in_known_hosts(address, port, name):
    assert Endpoint("nas", address, port).key_name == name


def test_default_keys_are_those_that_are_there(resolve, tmp_path):
    (tmp_path / ".ssh/id_ed25519").touch()
    assert resolve("").identity_files == (str(tmp_path / ".ssh/id_ed25519"),)


def test_the_agent_can_be_left_alone(resolve):
    assert not resolve("IdentityAgent none").use_agent


def test_a_jump_host_has_its_own_entry(resolve):
    nas = resolve("Host nas\n ProxyJump door\nHost door\n HostName 203.0.113.9\n Port 2022\n")
    assert nas.proxy_jump.place == "203.0.113.9:2022"
    assert nas.proxy_jump.user == "me"


def test_a_chain_of_jump_hosts(resolve):
    nas = resolve("Host nas\n ProxyJump admin@door:2022,[fd00::1]:23\n")
    inner = nas.proxy_jump
    assert (inner.address, inner.port) == ("fd00::1", 23)
    assert (inner.proxy_jump.user, inner.proxy_jump.place) == ("admin", "door:2022")


def test_a_jump_host_is_not_its_own_way(resolve):
    nas = resolve("Host *\n ProxyJump door\n")
    assert nas.proxy_jump.name == "door"
    assert nas.proxy_jump.proxy_jump is None


def test_no_jump_host(resolve):
    assert resolve("Host nas\n ProxyJump none\nHost *\n ProxyJump door\n").proxy_jump is None


def test_included_files_are_followed(resolve, tmp_path):
    folder = tmp_path / ".ssh/config.d"
    folder.mkdir()
    (folder / "lab").write_text("Host nas\n  HostName 10.0.30.10\n")
    nas = resolve("Include config.d/*\nUser admin\nHost nas\n  Port 2222\n")
    assert (nas.place, nas.user) == ("10.0.30.10:2222", "admin")


def test_a_file_that_includes_itself_is_no_trap(resolve):
    assert resolve("Include ~/.ssh/config\nHost nas\n Port 2222\n").port == 2222


def test_a_match_may_ask_a_program(tmp_path):
    """In a process of its own: the library that runs it leaves its pipes open."""
    config = tmp_path / "config"
    config.write_text("Match exec true\n Port 2222\nMatch exec false\n User nobody\n")
    script = (
        "import pathlib, sys; from homelab_lib.transport.endpoint import Endpoint; "
        "print(Endpoint.resolve('nas', config=pathlib.Path(sys.argv[1])).port)"
    )
    words = [sys.executable, "-c", script, str(config)]
    ran = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert ran.stdout == "2222\n", ran.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Host nas\n ProxyCommand nc %h %p\n", "ProxyCommand"),
        ("Host nas\n ProxyJump a:b:c\n", "ProxyJump 'a:b:c'"),
        ("Host nas\n this-is-no-line\n", "Unparsable line"),
        ("Host nas\n Port many\n", "many"),
    ],
)
def test_what_we_can_not_do_is_said_with_the_file(resolve, text, says):
    with pytest.raises(BadParameter, match=says) as caught:
        resolve(text)
    assert caught.value.where.endswith(".ssh/config")


def test_a_configuration_that_is_not_there(tmp_path):
    with pytest.raises(BadParameter, match="No such file"):
        Endpoint.resolve("nas", config=tmp_path / "none")
