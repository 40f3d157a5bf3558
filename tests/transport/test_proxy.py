"""A program that carries a connection."""

import os
import shlex
import sys

import pytest

from homelab_lib.errors import Unreachable
from homelab_lib.transport.command import read
from homelab_lib.transport.proxy import Piped
from homelab_lib.transport.ssh import Connection
from transport.sshd import Sshd, real_shell

PUMP = """
import os, shutil, socket, sys, threading
there = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
ours = os.fdopen(0, "rb", 0), os.fdopen(1, "wb", 0)
pump = threading.Thread(target=shutil.copyfileobj, args=(ours[0], there.makefile("wb", 0)))
pump.daemon = True
pump.start()
shutil.copyfileobj(there.makefile("rb", 0), ours[1])
"""


@pytest.fixture
def pump(tmp_path):
    """The command line of a program that connects to a port of this machine."""
    (tmp_path / "pump").write_text(PUMP)
    return shlex.join([sys.executable, f"{tmp_path}/pump"])


def test_a_connection_through_a_program(pump, tmp_path):
    with Sshd(real_shell) as server:
        endpoint = server.endpoint(tmp_path, proxy_command=f"{pump} {server.port}", address="nas")
        with (tmp_path / "known_hosts").open("a") as file:
            key = server.host_keys[0]
            file.write(f"nas {key.get_name()} {key.get_base64()}\n")
        connection = Connection(endpoint)
        try:
            assert connection.run(read("uname")).stdout == f"{os.uname().sysname}\n"
        finally:
            connection.close()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("sh -c 'echo no way there >&2; exit 1'", "no way there"),
        ("/no/such/program", "(?i)not found|no such file"),
        ("true", "not as an SSH server should"),
    ],
)
def test_what_a_program_complains_of_is_passed_on(tmp_path, command, says):
    with Sshd() as server:
        endpoint = server.endpoint(tmp_path, proxy_command=command)
        with pytest.raises(Unreachable, match=says):
            Connection(endpoint).run(read("true"))


def test_a_program_that_does_not_want_to_go_goes():
    link = Piped.through("sh -c 'trap \"\" HUP; echo $$; while :; do sleep 0.05; done'")
    pid = int(link.recv(20))
    link.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    link.close()  # twice does no harm
