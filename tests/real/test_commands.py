"""What goes to a host and what comes back, through OpenSSH and a real shell."""

import hashlib
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from paramiko.common import MSG_CHANNEL_EOF

from homelab_lib.errors import OutcomeUnknown, Unreachable
from homelab_lib.secret import Secret
from homelab_lib.transport.command import change, read
from real.opensshd import until

pytestmark = pytest.mark.real

MIB = 2**20
ALL_BYTES = bytes(range(256))
SECRET = "kN7vXq2LmT9wRz4YpB6cJ8hD"

# Prints each argument between NULs, so that nothing in it can be mistaken for a boundary.
PRINT = ("printf", "%s\\0")
hostile = st.text(
    alphabet=st.one_of(
        st.sampled_from("'\"\\!$`\n\r\t*?~{}[]();|&<>#^%@-= ab"),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    ),
    max_size=16,
)
HOSTILE = [
    "",
    "-rf",
    "--",
    "$(reboot)",
    "`reboot`",
    "a\nb",
    "'; reboot; '",
    '"',
    "é\u202e\U0001f4a3",
]


def sh(script, *words, **options):
    return change("sh", "-c", script, "sh", *words, **options)


@pytest.mark.parametrize(
    ("script", "status", "stdout", "stderr"),
    [
        ("echo out; echo err >&2; exit 3", 3, "out\n", "err\n"),
        ("printf 'no end of line'", 0, "no end of line", ""),
        ("exit 255", 255, "", ""),
        ("", 0, "", ""),
        ("printf 'é\\n' >&2", 0, "", "é\n"),
    ],
)
def test_status_and_both_streams_come_back(connection, script, status, stdout, stderr):
    result = connection.run(sh(script))
    assert (result.exit_status, result.stdout, result.stderr) == (status, stdout, stderr)
    assert result.duration_s > 0


def test_a_program_that_is_not_there_is_127(connection):
    result = connection.run(change("no-such-program"))
    assert result.exit_status == 127
    assert "No such file or directory" in result.stderr


def test_bytes_that_are_no_text_are_replaced_and_nothing_is_lost(connection):
    octal = "".join(f"\\{byte:03o}" for byte in ALL_BYTES)
    result = connection.run(sh('printf "$1"', octal))
    assert result.stdout == ALL_BYTES.decode(errors="replace")


def test_five_mebibytes_on_both_streams_at_once(connection):
    script = 'head -c "$1" /dev/zero | tr "\\0" e >&2 & head -c "$1" /dev/zero | tr "\\0" o; wait'
    result = connection.run(sh(script, str(5 * MIB)))
    assert result.stdout == "o" * 5 * MIB
    assert result.stderr == "e" * 5 * MIB


@pytest.mark.parametrize(
    "given",
    ["", "one\ntwo\n", b"\x00\xff\n" * 3, b"x" * 5 * MIB],
    ids=["none", "str", "bytes", "5MiB"],
)
def test_standard_input_arrives_to_its_end(connection, given):
    raw = given.encode() if isinstance(given, str) else given
    arrived = connection.run(change("sha256sum", stdin=given)).stdout.split()[0]
    assert arrived == hashlib.sha256(raw).hexdigest()
    assert connection.run(change("cat", stdin=given)).stdout == raw.decode(errors="replace")


def test_a_program_that_does_not_want_its_input_does_not_hold_us_up(connection):
    assert connection.run(change("true", stdin=b"x" * 5 * MIB)).ok


def test_a_secret_is_in_no_process_list(connection):
    script = "read -r secret; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ; printf %s ${#secret}"
    result = connection.run(sh(script, stdin=Secret("test", lambda: SECRET)))
    assert SECRET not in result.stdout
    assert result.stdout.endswith(str(len(SECRET)))


def test_a_secret_is_in_no_error_and_no_log(connection, nas, caplog):
    caplog.set_level("DEBUG")
    command = sh(
        "cat >/dev/null; exec sleep 60", stdin=Secret("test", lambda: SECRET), timeout_s=0.5
    )
    with pytest.raises(OutcomeUnknown) as caught:
        connection.run(command)
    shown = f"{caught.getrepr(chain=True)}{caught.value!r}{caught.value}{command!r}{caplog.text}"
    assert SECRET not in shown + nas.log.read_text(errors="replace")


@given(st.lists(hostile, min_size=1, max_size=5))
@example(HOSTILE)
@settings(max_examples=30, deadline=None)
def test_hostile_words_arrive_as_they_are(connection, words):
    assert connection.run(change(*PRINT, *words)).stdout.split("\0")[:-1] == words


def test_hostile_names_are_only_names_on_the_disk(connection, tmp_path):
    names = [name for name in HOSTILE if name]
    assert connection.run(change("mkdir", "-p", "--", *(f"{tmp_path}/x/{n}" for n in names))).ok
    assert {os.fsdecode(p.name) for p in (tmp_path / "x").iterdir()} == {*names}


def test_commands_do_not_wait_for_acknowledgements(connection):
    connection.run(read("true"))
    link = connection._transport.sock
    assert link.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_one_connection_serves_many_commands(connection):
    ports = {connection.run(sh("echo $SSH_CONNECTION")).stdout for _ in range(30)}
    assert len(ports) == 1


def test_threads_share_a_connection(connect, nas):
    shared = connect(nas.endpoint())
    commands = [sh("echo $1; echo $SSH_CONNECTION >&2", str(n)) for n in range(160)]
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(shared.run, commands))
    assert [result.stdout for result in results] == [f"{n}\n" for n in range(160)]
    assert len({result.stderr for result in results}) == 1


def test_an_end_of_input_that_comes_too_late_costs_nobody_the_connection(connect, nas, monkeypatch):
    """OpenSSH hangs up on whoever speaks of a channel after closing it; other commands go too."""
    one = connect(nas.endpoint())
    before = one.run(sh("echo $SSH_CONNECTION")).stdout
    late = threading.Event()
    send = one._transport._send_user_message

    def send_late(message):
        is_end = message.asbytes()[0] == MSG_CHANNEL_EOF
        if is_end:
            until("the channel is closed", lambda: not list(one._transport._channels.values()))
        send(message)
        if is_end:
            late.set()

    monkeypatch.setattr(one._transport, "_send_user_message", send_late)
    assert one.run(read("true")).ok
    assert late.wait(10)
    monkeypatch.undo()
    assert one.run(sh("echo $SSH_CONNECTION")).stdout == before


@pytest.mark.parametrize("allowed", [1, 3])
def test_a_host_that_takes_fewer_sessions_than_we_like(server, connect, allowed):
    with server(options=[f"MaxSessions {allowed}"]) as host:
        shared = connect(host.endpoint())
        with ThreadPoolExecutor(12) as pool:
            results = list(pool.map(lambda n: shared.run(sh("echo $1", str(n))), range(60)))
        assert [result.stdout for result in results] == [f"{n}\n" for n in range(60)]
        assert host.links() == 1


def test_one_session_is_enough_for_one_command_after_the_other(server, connect):
    with server(options=["MaxSessions 1"]) as host:
        one = connect(host.endpoint())
        assert all(one.run(read("true")).ok for _ in range(60))


def test_a_host_that_takes_no_session_at_all(server, connect):
    with server(options=["MaxSessions 0"]) as host, pytest.raises(Unreachable, match="MaxSessions"):
        connect(host.endpoint()).run(read("true"))


def test_sixteen_slow_commands_take_turns(server, connect, tmp_path):
    """More at once than the host allows: the rest wait, and none is lost."""
    with server() as host:
        shared = connect(host.endpoint())
        gate = tmp_path / "gate"
        script = 'touch "$1.$2"; until [ -e "$1" ]; do sleep 0.02; done; echo $2'
        results = {}

        def run(number):
            results[number] = shared.run(sh(script, str(gate), str(number))).stdout

        threads = [threading.Thread(target=run, args=(n,)) for n in range(16)]
        for thread in threads:
            thread.start()
        until("eight are at work", lambda: len(list(Path(tmp_path).glob("gate.*"))) == 8)
        gate.touch()
        for thread in threads:
            thread.join(20)
        assert results == {n: f"{n}\n" for n in range(16)}
