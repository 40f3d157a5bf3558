"""Many commands in one round trip, through OpenSSH and the login shells that people have."""

import shutil
import threading

import pytest

from homelab_lib.errors import AuthenticationRefused, NotSent, OutcomeUnknown, Unreachable
from homelab_lib.secret import Secret
from homelab_lib.transport.command import Result, change, read
from homelab_lib.transport.many import run_many
from real.opensshd import until
from real.users import NO_PASSWORD

pytestmark = pytest.mark.real

ALL_BYTES = bytes(range(256)) * 100


def many(connection, *calls):
    return run_many(connection, calls, lambda request: pytest.fail("there is none"))


def sh(script, **options):
    return change("sh", "-c", script, **options)


def test_each_gets_its_own_and_answers_for_itself(connection):
    secret = Secret("x", lambda: "hush")
    outcomes = many(
        connection,
        change("od", "-An", "-v", "-tx1", stdin=ALL_BYTES),
        sh("echo 'a!b' >&2; cat", stdin=secret),
        read("stat", "/none"),
        sh("exit 7"),
        sh("echo never"),
    )
    assert bytes.fromhex(outcomes[0].stdout) == ALL_BYTES
    assert (outcomes[1].stdout, outcomes[1].stderr) == ("hush", "a!b\n")
    assert [o.exit_status for o in outcomes[2:4]] == [1, 7]
    assert isinstance(outcomes[4], NotSent)


def test_a_secret_stands_in_no_process_list(connection):
    text = "kN7vXq2LmT9wRz4YpB6cJ8hD"
    secret = Secret("x", lambda: text)
    spy = sh("cat >/dev/null; cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '", stdin=secret)
    outcomes = many(connection, spy, spy)
    assert "cat" in outcomes[0].stdout
    assert text not in outcomes[0].stdout + outcomes[1].stdout


@pytest.mark.parametrize("csh", [False, True])
def test_a_user_who_has_to_use_sudo(login, csh):
    if csh and shutil.which("csh") is None:
        pytest.skip("this machine has no csh (package tcsh)")
    shell = shutil.which("csh") if csh else "/bin/sh"
    user = login("m" + "c" * csh, shell=shell, sudo=NO_PASSWORD)
    outcomes = many(user, change("id", "-u", sudo=True), change("cat", stdin="!x'\n", sudo=True))
    assert [o.stdout for o in outcomes] == ["0\n", "!x'\n"]
    mixed = many(user, read("id", "-un"), change("id", "-u", sudo=True), read("id", "-un"))
    assert mixed[0].stdout == mixed[2].stdout != "root\n"
    assert mixed[1].stdout == "0\n"


def test_a_user_who_may_not_use_sudo(login):
    user = login("n")
    with pytest.raises(AuthenticationRefused):
        many(user, change("id", sudo=True), change("id", sudo=True))
    outcomes = many(user, read("id"), read("stat", "/x", sudo=True))
    assert isinstance(outcomes[0], Result)
    assert isinstance(outcomes[1], AuthenticationRefused)


def test_the_host_dies_half_way(server, connect, tmp_path):
    sshd = server()
    sshd.start()
    connection = connect(sshd.endpoint(), sleep=lambda pause_s: None)
    begun, trace = tmp_path / "begun", tmp_path / "never"

    def kill():
        until("the second runs", begun.exists)
        sshd.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    outcomes = many(
        connection,
        sh("echo one"),
        sh(f"touch {begun}; exec sleep 60"),
        change("touch", str(trace)),
    )
    killer.join()
    assert [type(o) for o in outcomes] == [Result, OutcomeUnknown, OutcomeUnknown]
    assert outcomes[0].stdout == "one\n"
    assert not trace.exists()
    with pytest.raises(Unreachable):
        many(connection, sh("true"), sh("true"))
