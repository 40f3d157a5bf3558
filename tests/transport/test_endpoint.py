"""Where a host is reached: what ssh_config says, and the lab where it says nothing.

Each is tried with `ssh -G` and with our own reading, which serves where there is no `ssh`.
"""

import shutil

import pytest

from homelab_lib.errors import BadParameter
from homelab_lib.transport.endpoint import Endpoint
from homelab_lib.transport.ssh_said import home, local_user

OWN = ""


@pytest.fixture(params=["ssh", OWN], ids=["ssh -G", "our own reading"])
def reader(request):
    """Who reads the configuration."""
    if request.param and not shutil.which(request.param):
        pytest.skip("this machine has no ssh (package openssh-client)")
    return request.param


@pytest.fixture
def resolve(tmp_path, reader):
    """Resolve a name against a configuration given as text."""
    config = tmp_path / "config"

    def resolve(text, name="nas", **lab):
        config.write_text(text)
        return Endpoint.resolve(name, config=config, ssh=reader, **lab)

    return resolve


# ---------------------------------------------------------------- the lab's word


def test_the_lab_says_what_the_configuration_leaves_open(resolve):
    nas = resolve("", address="10.0.30.10", port=2222, user="admin")
    assert (nas.place, nas.user) == ("10.0.30.10:2222", "admin")
    assert nas.use_agent
    assert not nas.identities_only


def test_without_any_address_the_name_is_looked_up(resolve):
    assert resolve("", name="NAS").address == "NAS"
    assert resolve("Host nas\n HostName %h.lan").address == "nas.lan"


def test_an_address_with_a_zone(resolve):
    assert resolve("", address="fe80::1%eth0").address == "fe80::1%eth0"


def test_a_lab_that_names_no_user_means_us(resolve):
    assert resolve("", user="").user == local_user()


def test_a_default_that_the_configuration_says_outright_is_its_word(resolve):
    """`ssh -G` prints it alike, said or not."""
    text = f"Host nas\n User {local_user()}\n Port 22\n"
    nas = resolve(text, address="10.0.30.10", user="admin", port=2222)
    assert (nas.user, nas.place) == (local_user(), "10.0.30.10:22")
    other = resolve(text.replace("nas", "pve"), address="10.0.30.10", user="admin", port=2222)
    assert (other.user, other.place) == ("admin", "10.0.30.10:2222")


def test_what_the_lab_says_is_known_to_what_follows(resolve):
    nas = resolve(
        "Match host 10.0.30.* user admin\n IdentityFile /keys/%h-%r-%p\n",
        address="10.0.30.10",
        user="admin",
    )
    assert nas.identity_files == ("/keys/10.0.30.10-admin-22",)


# ---------------------------------------------------------- the configuration's


def test_the_configuration_wins(resolve):
    nas = resolve(
        """
        Host nas
          HostName 192.168.1.5
          Port 2200
          User root
          IdentityFile ~/keys/%h
          IdentitiesOnly yes
          UserKnownHostsFile ~/known "two words" /%%n/%n
          GlobalKnownHostsFile none
          HostKeyAlias NAS.lan
          ConnectTimeout 3
          AddressFamily inet
          BindAddress 192.168.1.9
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
        identity_files=(f"{home()}/keys/192.168.1.5",),
        identities_only=True,
        known_hosts_files=(f"{home()}/known", "two words", "/%n/nas"),
        host_key_alias="nas.lan",
        address_family="inet",
        bind_address="192.168.1.9",
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


def test_default_keys_are_those_that_are_there(resolve, tmp_path, monkeypatch):
    (tmp_path / "id_ed25519").touch()
    monkeypatch.setattr(
        "homelab_lib.transport.ssh_tokens.home", lambda: str(tmp_path / "nobody"), raising=True
    )
    assert resolve("").identity_files == ()
    (tmp_path / "nobody/.ssh").mkdir(parents=True)
    (tmp_path / "nobody/.ssh/id_ed25519").touch()
    assert resolve("").identity_files == (str(tmp_path / "nobody/.ssh/id_ed25519"),)


@pytest.mark.parametrize(
    ("said", "agent"),
    [
        ("none", None),
        ("SSH_AUTH_SOCK", ""),
        ("~/agent.sock", f"{home()}/agent.sock"),
        ('"/run/%u/a b/%h"', f"/run/{local_user()}/a b/nas.lan"),
        ("${AGENTS}/sock", "/agents/sock"),
        ("$AGENT", "/agents/mine"),
        ("$NO_SUCH_AGENT", None),
    ],
)
def test_whom_the_agent_s_name_means(resolve, monkeypatch, said, agent):
    monkeypatch.setenv("AGENTS", "/agents")
    monkeypatch.setenv("AGENT", "/agents/mine")
    monkeypatch.delenv("NO_SUCH_AGENT", raising=False)
    nas = resolve(f"Host nas\n HostName nas.lan\n IdentityAgent {said}\n")
    assert (nas.agent if nas.use_agent else None) == agent


@pytest.mark.parametrize(
    ("said", "time_s"),
    [("7", 7), ("1m30", 90), ("2M5S", 125), ("1h", 3600), ("none", 10), ("0", 10)],
)
def test_forms_of_a_time(resolve, said, time_s):
    assert resolve(f"ConnectTimeout {said}\n").connect_timeout_s == time_s


# ------------------------------------------------------------------- the way


def test_a_jump_host_has_its_own_entry(resolve):
    nas = resolve("Host nas\n ProxyJump door\nHost door\n HostName 203.0.113.9\n Port 2022\n")
    assert nas.proxy_jump.place == "203.0.113.9:2022"
    assert nas.proxy_jump.user == local_user()


def test_a_chain_of_jump_hosts(resolve):
    nas = resolve("Host nas\n ProxyJump admin@door:2022,[fd00::1]:23\n")
    inner = nas.proxy_jump
    assert (inner.address, inner.port) == ("fd00::1", 23)
    assert (inner.proxy_jump.user, inner.proxy_jump.place) == ("admin", "door:2022")


def test_a_jump_host_s_own_jump_and_what_is_said_of_it_by_its_port(resolve):
    nas = resolve(
        "Host nas\n ProxyJump me@inner:99\n"
        "Host inner\n ProxyJump outer\n IdentityFile /keys/%n-%p-%r\nHost outer\n User you\n"
    )
    inner = nas.proxy_jump
    assert (inner.identity_files, inner.user) == (("/keys/inner-99-me",), "me")
    assert (inner.proxy_jump.name, inner.proxy_jump.user) == ("outer", "you")


@pytest.mark.parametrize(
    "text",
    [
        "Host *\n ProxyJump door\n",
        "Host nas\n ProxyJump door\nHost door\n ProxyJump nas\n",
    ],
)
def test_a_way_that_leads_to_itself_is_refused_with_the_way_out(resolve, text):
    with pytest.raises(BadParameter) as caught:
        resolve(text)
    assert "ProxyJump none" in caught.value.fix
    assert ".proxy_jump" not in str(caught.value)


def test_no_jump_host(resolve):
    assert resolve("Host nas\n ProxyJump none\nHost *\n ProxyJump door\n").proxy_jump is None
    assert resolve("Host nas\n ProxyCommand none\nHost *\n ProxyJump door\n").proxy_jump is None


def test_a_proxy_command_is_for_the_shell(resolve):
    nas = resolve(
        "Host nas\n HostName 10.0.0.9\n Port 99\n User me\n"
        '  ProxyCommand nc -x "$SOCKS" %h %p # %r at %n, 100%%\n'
    )
    assert nas.proxy_command == 'nc -x "$SOCKS" 10.0.0.9 99 # me at nas, 100%'
    assert nas.proxy_jump is None


# ------------------------------------------------------------ what is refused


def test_included_files_are_followed_where_they_stand(resolve, tmp_path):
    (tmp_path / "lab1").write_text("Host nas\n  HostName 10.0.30.10\nHost pve\n Port 9\n")
    (tmp_path / "lab2").write_text("Port 2222\n")
    nas = resolve(
        f'User admin\nHost pve\n  Include "{tmp_path}/lab2"\nHost *\n  Include {tmp_path}/lab?\n'
    )
    assert (nas.place, nas.user) == ("10.0.30.10:2222", "admin")
    away = resolve(f"Host pve\n  Include {tmp_path}/lab*\nHost nas\n  User you\n")
    assert (away.place, away.user) == ("nas:22", "you")


def test_an_included_file_that_others_can_write_to_is_refused(resolve, tmp_path):
    (tmp_path / "lab").write_text("Port 9\n")
    (tmp_path / "lab").chmod(0o666)
    with pytest.raises(BadParameter) as caught:
        resolve(f"Include {tmp_path}/lab\n")
    assert "chmod go-w" in caught.value.fix
    assert f"{tmp_path}/lab" in str(caught.value)


def test_a_file_that_includes_itself_is_refused(resolve, tmp_path):
    with pytest.raises(BadParameter):
        resolve(f"Include {tmp_path}/config\nHost nas\n Port 2222\n")


def test_a_match_may_ask_a_program(resolve, tmp_path):
    port = resolve(
        f'Match exec "test %n = nas"\n Port 2222\nMatch exec false\n Port 9\n'
        f'Match host pve exec "touch {tmp_path}/ran"\n Port 8\n'
    ).port
    assert port == 2222
    assert not (tmp_path / "ran").exists(), "what comes before it did not hold"


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        ("Host nas\n ProxyJump a:b:c\n", "a:b:c", 2),
        ("Host nas\n Frobnicate yes\n", "frobnicate", 2),
        ("Host nas\n Port many\n", "many", 2),
        ("Host nas\n ConnectTimeout soon\n", "(?i)time", 2),
        ('Host nas\n User "me\n', "quote", 2),
        ("Host nas\n IdentitiesOnly\n", "(?i)identitiesonly", 2),
        ("Match frob yes\n User you\n", "frob", 1),
        ("Match host nas all\n  Match all x\n", "all", 2),
        ("Host nas\n PubkeyAuthentication no\n", "(?i)pubkeyauthentication", 2),
        ("Host nas\n PreferredAuthentications password\n", "(?i)preferredauth", 2),
        ("Host nas\n KnownHostsCommand /bin/known %H\n", "(?i)knownhostscommand", 2),
        ("Host nas\n ProxyUseFdpass yes\n", "(?i)proxyusefdpass", 2),
        ("Host nas\n IdentityFile ${NO_SUCH_VARIABLE}/id\n", "NO_SUCH_VARIABLE", 2),
        ("Host nas\n IdentityFile /keys/%z\n", "%z", 2),
    ],
)
def test_what_can_not_be_done_is_said_with_file_and_line(resolve, tmp_path, text, says, line):
    with pytest.raises(BadParameter, match=says) as caught:
        resolve(text)
    assert caught.value.where in (f"{tmp_path}/config:{line}", f"{tmp_path}/config")


@pytest.mark.parametrize(
    "criterion",
    ["localnetwork 198.51.100.0/24", "version OpenSSH_1*", "moonphase full"],
)
def test_a_block_that_hangs_on_what_we_can_not_judge_is_never_applied(tmp_path, criterion):
    config = tmp_path / "config"
    text = f"Match {criterion}\n HostName 192.0.2.1\n Port 2401\n User other\n"
    config.write_text(text + "Host nas\n HostName 192.0.2.7\n")
    with pytest.raises(BadParameter, match=criterion.split()[0]) as caught:
        Endpoint.resolve("nas", config=config, ssh=OWN)
    assert caught.value.where == f"{config}:1"


def test_it_does_not_hang_on_it_where_another_criterion_fails(tmp_path):
    config = tmp_path / "config"
    config.write_text("Match localnetwork 10.0.0.0/8 host pve\n Port 2401\n")
    assert Endpoint.resolve("nas", config=config, ssh=OWN).port == 22


def test_words_of_other_programs_may_be_ignored(resolve):
    assert resolve("IgnoreUnknown Frob*\nFrobnicate yes\nPort 9\n").port == 9


def test_a_configuration_that_is_not_there(tmp_path, reader):
    with pytest.raises(BadParameter, match="No such file"):
        Endpoint.resolve("nas", config=tmp_path / "none", ssh=reader)


# ---------------------------------------------------------------- who is asked


def test_it_is_said_who_has_read_it(resolve, reader, tmp_path):
    by = resolve("", address="10.0.30.10", user="admin").settled_by
    if reader:
        assert f"-F {tmp_path}/config -o hostname=10.0.30.10 -o user=admin nas" in by
        assert "OpenSSH" in by
    else:
        assert by == f"our own reading of {tmp_path}/config, since there is no ssh here"


@pytest.mark.parametrize(
    "script",
    ["echo Dropbear v2025 >&2", "echo OpenSSH_6.6p1 >&2", "exit 1"],
    ids=["another program", "too old", "broken"],
)
def test_a_program_that_can_not_be_asked_is_not(tmp_path, script):
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\n{script}\n")
    ssh.chmod(0o755)
    config = tmp_path / "config"
    config.write_text("Host nas\n Port 9\n")
    nas = Endpoint.resolve("nas", config=config, ssh=str(ssh))
    assert nas.port == 9
    assert "our own reading" in nas.settled_by


def test_a_match_that_hangs_is_not_waited_for_without_end(tmp_path, reader, monkeypatch):
    config = tmp_path / "config"
    config.write_text("")
    Endpoint.resolve("nas", config=config, ssh=reader)  # which ssh it is takes its time, once
    monkeypatch.setattr("homelab_lib.transport.programs.PATIENCE_S", 0.2)
    config.write_text('Match exec "sleep 60"\n Port 9\n')
    with pytest.raises(BadParameter, match=r"no end within 0\.2 s"):
        Endpoint.resolve("nas", config=config, ssh=reader)
