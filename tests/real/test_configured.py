"""Logins by an ssh_config, each beside `ssh` itself: it gets in where we do, and only there."""

import os
import shlex
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from homelab_lib.errors import (
    AuthenticationRefused,
    BadParameter,
    HomelabError,
    HostKeyRefused,
    Unreachable,
)
from homelab_lib.transport.command import change, read
from homelab_lib.transport.endpoint import Endpoint
from homelab_lib.transport.fleet import Fleet
from real.network import Place
from real.opensshd import OpenSshd, make_key, public, until
from real.users import user, why_no_users

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not shutil.which("ssh"), reason="this machine has no ssh"),
    pytest.mark.skipif(not shutil.which("ssh-agent"), reason="this machine has no ssh-agent"),
]

SYSTEM = Path("/etc/ssh/ssh_config.d")


@pytest.fixture(params=["ssh", ""], ids=["ssh -G", "our own reading"])
def log_in(request, tmp_path):
    """Runs a command on `nas` by a configuration: `log_in(text, command)`; `ssh` has to do so, or
    fail to, as well."""

    def run(text, command=None, *, like_ssh=True):
        config = tmp_path / "config"
        config.write_text(text)
        try:
            endpoint = Endpoint.resolve("nas", config=config, ssh=request.param)
            with Fleet({"nas": endpoint}, allow_changes=True) as hosts:
                told, error = hosts.run("nas", command or read("true")), None
        except HomelabError as raised:
            told, error = None, raised
        words = ["ssh", "-F", str(config), "-o", "BatchMode=yes", "nas", "true"]
        theirs = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert (theirs.returncode == 0) == (error is None) or not like_ssh, theirs.stderr
        if error:
            raise error
        return told

    return run


@pytest.fixture
def agent(tmp_path, monkeypatch):
    """Starts agents: `agent(key, …)` gives a socket. None of them is the environment's."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with ExitStack() as running:

        def start(*keys):
            path = tmp_path / f"agent{len(list(tmp_path.glob('agent*')))}"
            words = ["ssh-agent", "-D", "-a", str(path)]
            running.enter_context(_running(words))
            until("the agent listens", path.exists)
            for key in keys:
                _run("ssh-add", "-q", str(key), SSH_AUTH_SOCK=str(path))
            return path

        yield start


@contextmanager
def _running(words):
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def _run(*words, **environment):
    subprocess.run(words, check=True, capture_output=True, env=os.environ | environment)


def _sign(authority, key, *options):
    """A certificate beside the key."""
    _run("ssh-keygen", "-q", "-s", str(authority), "-I", "for tests", *options, f"{key}.pub")
    return Path(f"{key}-cert.pub")


def entry(host, *lines, key=True):
    """A block for `nas`."""
    said = [
        f"HostName {host.address}",
        f"Port {host.port}",
        f"UserKnownHostsFile {host.known_hosts}",
        "GlobalKnownHostsFile none",
        "StrictHostKeyChecking yes",
        *([f"IdentityFile {host.client_key}", "IdentitiesOnly yes"] if key else []),
        *lines,
    ]
    return "Host nas\n" + "".join(f"  {line}\n" for line in said)


# ---------------------------------------------------------------- keys and agents


def test_the_public_half_of_a_key_that_only_an_agent_has(nas, log_in, agent, tmp_path):
    others = [make_key(tmp_path / f"other{number}") for number in range(7)]  # more than sshd hears
    socket = agent(*others, nas.client_key)
    half = tmp_path / "half.pub"
    half.write_text(public(nas.client_key))
    lines = [f"IdentityAgent {socket}", f"IdentityFile {half}", "IdentitiesOnly yes"]
    assert log_in(entry(nas, *lines, key=False)).ok
    with pytest.raises(AuthenticationRefused, match="public key, and no agent"):
        log_in(entry(nas, "IdentityAgent none", *lines[1:], key=False))


@pytest.mark.parametrize("said", ["{}", "SSH_AUTH_SOCK", "$HL_AGENT", "${{HL_AGENT}}"])
def test_an_agent_is_the_one_that_is_named(nas, log_in, agent, monkeypatch, said):
    socket = agent(nas.client_key)
    monkeypatch.setenv("HL_AGENT", str(socket))
    if said == "SSH_AUTH_SOCK":
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    assert log_in(
        entry(nas, "IdentityFile none", f"IdentityAgent {said.format(socket)}", key=False)
    ).ok


def test_an_agent_that_is_not_there_is_named(nas, log_in, tmp_path):
    lines = ["IdentityFile none", f"IdentityAgent {tmp_path}/gone"]
    with pytest.raises(AuthenticationRefused, match="gone: No such file"):
        log_in(entry(nas, *lines, key=False))


def test_a_key_with_a_passphrase_that_an_agent_has(server, log_in, agent):
    with server() as host:
        socket = agent(host.client_key)
        _run("ssh-keygen", "-q", "-p", "-N", "secret", "-f", str(host.client_key))
        Path(f"{host.client_key}.pub").unlink()
        assert log_in(entry(host, f"IdentityAgent {socket}")).ok
        with pytest.raises(AuthenticationRefused, match="passphrase"):
            log_in(entry(host, "IdentityAgent none"))


# -------------------------------------------------------------------- certificates


@pytest.fixture
def authority(tmp_path):
    return make_key(tmp_path / "authority")


@pytest.mark.parametrize("log_in", ["ssh"], indirect=True)
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_certificate_of_ours(server, log_in, agent, authority, tmp_path, kind):
    key = make_key(tmp_path / "mine", kind)
    with server(options=[f"TrustedUserCAKeys {authority}.pub"]) as host:
        (host.folder / "authorized_keys").write_text("")
        lines = [f"IdentityFile {key}", "IdentitiesOnly yes"]
        with pytest.raises(AuthenticationRefused):
            log_in(entry(host, *lines, key=False))
        beside = _sign(authority, key, "-n", _me())
        assert log_in(entry(host, *lines, key=False)).ok
        socket = agent(key)  # takes the certificate along
        elsewhere = beside.rename(tmp_path / "elsewhere")
        assert log_in(entry(host, *lines, f"CertificateFile {elsewhere}", key=False)).ok
        elsewhere.unlink()
        from_agent = [f"IdentityFile {key}", f"IdentityAgent {socket}"]
        assert log_in(entry(host, *from_agent, key=False)).ok
        with pytest.raises(AuthenticationRefused):  # it is no identity file's
            log_in(entry(host, *from_agent, "IdentitiesOnly yes", key=False))
        other = _sign(authority, key, "-n", "somebody-else")
        with pytest.raises(AuthenticationRefused, match=r"mine-cert\.pub"):
            log_in(entry(host, *lines, f"CertificateFile {other}", key=False))


def _me():
    return subprocess.run(["id", "-un"], capture_output=True, text=True).stdout.strip()


@pytest.fixture
def certified(server, authority, tmp_path):
    """Makes an sshd whose host key is certified: `certified(*options of ssh-keygen)`."""

    def make(*options, kind="ed25519", **settings):
        host = server(key_kinds=[kind], **settings)
        certificate = _sign(authority, host.host_keys[0], "-h", *options)
        with (host.folder / "sshd_config").open("a") as file:
            file.write(f"HostCertificate {certificate}\n")
        host.known_hosts.write_text(f"@cert-authority {host.key_name} {public(authority)}\n")
        return host

    return make


@pytest.mark.parametrize("log_in", ["ssh"], indirect=True)
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_host_that_an_authority_vouches_for(certified, log_in, network, kind):
    with certified("-n", f"other,{network.pve.address}", kind=kind) as host:
        assert log_in(entry(host)).ok
        assert log_in(entry(host, "HostKeyAlgorithms *-cert-v01@openssh.com")).ok


def test_an_authority_signs_for_names(certified, log_in):
    with certified("-n", "store.lan,*.example") as host:
        with pytest.raises(HostKeyRefused, match=r"it is for store\.lan, \*\.example"):
            log_in(entry(host))
        known = host.known_hosts.read_text().split(maxsplit=2)
        host.known_hosts.write_text(f"{known[0]} store.lan {known[2]}")
        assert log_in(entry(host, "HostKeyAlias Store.lan")).ok


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["-V", "20200101:20200102"], "it has expired"),
        (["-V", "+1d:+2d"], "it is not valid yet"),
        (["-O", "critical:no-such-option"], "critical options"),
    ],
)
def test_a_certificate_that_does_not_hold(certified, log_in, network, options, why):
    with certified("-n", network.pve.address, *options) as host:
        with pytest.raises(HostKeyRefused, match=f"nobody has vouched[^$]*{why}"):
            log_in(entry(host))
        with host.known_hosts.open("a") as file:  # the key itself is known
            file.write(f"{host.key_name} {public(host.host_keys[0])}\n")
        assert log_in(entry(host)).ok


def test_another_authority_and_a_revoked_one(certified, authority, log_in, network, tmp_path):
    other = make_key(tmp_path / "other-authority")
    with certified("-n", network.pve.address) as host:
        good = host.known_hosts.read_text()
        host.known_hosts.write_text(f"@cert-authority * {public(other)}\n")
        with pytest.raises(HostKeyRefused, match="no @cert-authority for this host has signed it"):
            log_in(entry(host))
        host.known_hosts.write_text(f"{good}@revoked * {public(authority)}\n")
        with pytest.raises(HostKeyRefused, match="the authority that signed it is revoked"):
            log_in(entry(host))


# ----------------------------------------------------------------- host keys


def test_a_key_that_is_known_without_its_port(server, log_in, network, tmp_path):
    with server(network.pve, port=2022) as host:
        host.known_hosts.write_text(f"{host.address} {public(host.host_keys[0])}\n")
        assert log_in(entry(host)).ok
        host.known_hosts.write_text(f"{host.address} {public(make_key(tmp_path / 'other'))}\n")
        with pytest.raises(HostKeyRefused):
            log_in(entry(host))
        host.vouch(public(make_key(tmp_path / "third")))
        with host.known_hosts.open("a") as file:
            file.write(f"{host.address} {public(host.host_keys[0])}\n")
        with pytest.raises(HostKeyRefused, match="has changed"):
            log_in(entry(host))


def test_a_list_of_revoked_keys(server, log_in, tmp_path):
    revoked = tmp_path / "revoked"
    with server() as host:
        revoked.write_text(f"{public(host.host_keys[0])}\n")
        with pytest.raises(HostKeyRefused, match=f"revoked: in {revoked}:1"):
            log_in(entry(host, f"RevokedHostKeys {revoked}"))
        revoked.write_text("# none\n")
        assert log_in(entry(host, f"RevokedHostKeys {revoked}")).ok
        with pytest.raises(HomelabError, match="can't be read"):
            log_in(entry(host, f"RevokedHostKeys {tmp_path}/gone"))


def test_algorithms_are_those_that_are_left(server, log_in):
    kinds = ["ed25519", "ecdsa"]
    with server(key_kinds=kinds) as host:
        host.vouch(public(host.host_keys[1]))
        assert log_in(entry(host, "HostKeyAlgorithms ecdsa-sha2-*")).ok
        with pytest.raises(HomelabError):
            log_in(entry(host, "HostKeyAlgorithms ssh-ed25519"))
        assert log_in(entry(host, "Ciphers ^aes256-ctr", "MACs -hmac-sha2-256")).ok
        with pytest.raises(AuthenticationRefused, match="PubkeyAcceptedAlgorithms leaves out"):
            log_in(entry(host, "PubkeyAcceptedAlgorithms rsa-sha2-512"))
        with pytest.raises(BadParameter, match="leaves nothing that can be done here"):
            log_in(entry(host, "Ciphers chacha20-poly1305@openssh.com"), like_ssh=False)


# --------------------------------------------------------------------- the way


def test_through_a_jump_host_with_an_entry_of_its_own(server, network, log_in):
    with server(network.nas, port=2022) as door, server(network.hidden) as host:
        text = entry(host, "ProxyJump door") + entry(door).replace("Host nas", "Host door")
        told = log_in(text, change("sh", "-c", 'echo "$SSH_CONNECTION"'))
        came_from, _, at, _ = told.stdout.split()
        assert at == host.address
        assert not network.isolated or came_from != network.nas.address
        door.kill()
        with pytest.raises(Unreachable, match="door"):
            log_in(text)


def test_through_a_program(server, network, log_in, tmp_path):
    with server(network.nas, port=2022) as door, server(network.hidden) as host:
        way = f"ProxyCommand ssh -F {tmp_path}/config -o BatchMode=yes -W '[%h]:%p' door"
        text = entry(host, way) + entry(door).replace("Host nas", "Host door")
        assert log_in(text, change("sh", "-c", "head -c 3000000 /dev/zero")).ok
        host.kill()
        with pytest.raises(Unreachable, match="through its ProxyCommand"):
            log_in(text)
    with pytest.raises(Unreachable, match="through its ProxyCommand: no way there"):
        log_in(entry(host, "ProxyCommand sh -c 'echo no way there >&2; exit 1'"))


def test_a_program_goes_with_its_connection(nas, log_in, tmp_path):
    script = tmp_path / "way"
    pump = "import socket,sys,threading as t,shutil,os\n"
    pump += f"s=socket.create_connection(({nas.address!r},{nas.port}))\n"
    pump += f"open({str(tmp_path / 'pid')!r},'w').write(str(os.getpid()))\n"
    pump += "i,o=os.fdopen(0,'rb',0),os.fdopen(1,'wb',0)\n"
    pump += "t.Thread(target=lambda:shutil.copyfileobj(i,s.makefile('wb',0)),daemon=True).start()\n"
    pump += "shutil.copyfileobj(s.makefile('rb',0),o)\n"
    script.write_text(pump)
    assert log_in(entry(nas, f"ProxyCommand {shlex.join([sys.executable, str(script)])}")).ok
    pid = (tmp_path / "pid").read_text()
    until("it is gone", lambda: not Path(f"/proc/{pid}/cmdline").exists())


def test_the_address_that_we_come_from(server, log_in):
    with server(Place()) as host:
        lines = ["AddressFamily inet", "BindAddress 127.0.0.7"]
        told = log_in(entry(host, *lines), change("sh", "-c", 'echo "$SSH_CONNECTION"'))
        assert told.stdout.split()[0] == "127.0.0.7"
        with pytest.raises(Unreachable):
            log_in(entry(host, "AddressFamily inet6"))


@pytest.mark.skipif(
    os.geteuid() != 0 or not SYSTEM.is_dir(), reason="writing into /etc/ssh needs root"
)
@pytest.mark.parametrize("reader", ["ssh", ""], ids=["ssh -G", "our own reading"])
def test_the_machine_s_own_configuration(reader):
    name = f"hl{os.getpid()}"
    file = SYSTEM / f"{name}.conf"
    try:
        file.write_text(f"Host {name}\n  HostName 192.0.2.7\n  Port 2402\n  User plain\n")
        found = Endpoint.resolve(name, address="192.0.2.1", ssh=reader)
    finally:
        file.unlink(missing_ok=True)
    assert (found.place, found.user) == ("192.0.2.7:2402", "plain")


# ---------------------------------------------------------------- what it says


def test_a_host_says_why_it_lets_nobody_in_yet(tmp_path, network, nas):
    """As while it boots: PAM's words come as a banner, and the connection is closed."""
    if why_no_users() or not Path("/etc/pam.d").is_dir():
        pytest.skip(why_no_users() or "this machine has no PAM")
    name = f"hl{os.getpid()}pam"
    service, sshd = Path("/etc/pam.d") / name, tmp_path / name
    words = "System is booting up. Unprivileged users are not permitted to log in yet."
    (tmp_path / "nologin").write_text(f"{words}\n")
    options = ["UsePAM yes", "AuthorizedKeysFile .ssh/authorized_keys"]
    host = OpenSshd(tmp_path / "sshd", options=options, program=sshd)
    with ExitStack() as made:
        made.callback(service.unlink, missing_ok=True)
        service.write_text(
            "auth required pam_permit.so\n"
            f"account required pam_nologin.so file={tmp_path}/nologin\n"
            "account required pam_permit.so\nsession required pam_permit.so\n"
        )
        sshd.symlink_to(shutil.which("sshd", path="/usr/sbin:/usr/bin"))
        who = made.enter_context(user("n", public(host.client_key)))
        made.enter_context(host)
        endpoint = host.endpoint(user=who)
        with (
            Fleet({"nas": endpoint}, allow_changes=False) as hosts,
            pytest.raises(AuthenticationRefused, match="it says: System is booting up") as caught,
        ):
            hosts.run("nas", read("true"))
        assert words in caught.value.says
        (tmp_path / "nologin").unlink()
        with Fleet({"nas": endpoint}, allow_changes=False) as hosts:
            assert hosts.run("nas", read("true")).ok
