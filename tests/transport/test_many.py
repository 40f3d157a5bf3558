"""Many commands in one round trip: what each says, and what is known when it goes wrong."""

import os
import shutil
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from homelab_lib.errors import (
    AuthenticationRefused,
    HomelabError,
    NotSent,
    OutcomeUnknown,
    Refused,
    TooSlow,
    Unreachable,
)
from homelab_lib.secret import Secret
from homelab_lib.transport.batch import Batch, Entry
from homelab_lib.transport.command import Result, change, read
from homelab_lib.transport.fleet import Fleet
from transport.sshd import Sshd, real_shell

SECRET = "kN7vXq2LmT9wRz4YpB6cJ8hD"
SHELLS = [s for s in ("dash", "bash", "busybox") if shutil.which(s)]


@pytest.fixture
def sshd(tmp_path):
    with Sshd() as server:
        yield server


@pytest.fixture
def fleet(sshd, tmp_path):
    with Fleet({"nas": sshd.endpoint(tmp_path)}, allow_changes=True) as made:
        made.run("nas", read("true"))  # the login is known before anything is changed
        sshd.lines.clear()
        yield made


def sh(script, **options):
    return change("sh", "-c", script, **options)


def test_each_has_its_own_answer_and_all_go_in_one_line(fleet, sshd):
    outcomes = fleet.run_many(
        "nas",
        [sh("echo a; echo A >&2"), change("cat", stdin="no newline"), sh("exit 0"), read("id")],
    )
    said = [(o.exit_status, o.stdout, o.stderr) for o in outcomes[:3]]
    assert said == [(0, "a\n", "A\n"), (0, "no newline", ""), (0, "", "")]
    assert outcomes[3].stdout.startswith("uid=")
    assert len(sshd.lines) == 1


def test_no_calls_no_round_trip(fleet, sshd):
    assert fleet.run_many("nas", []) == []
    assert sshd.lines == []


def test_a_change_that_fails_ends_it_and_the_later_ones_are_said_not_to_have_run(fleet, tmp_path):
    trace = tmp_path / "ran"
    outcomes = fleet.run_many(
        "nas",
        [change("touch", str(trace)), sh("echo no >&2; exit 3"), change("rm", str(trace))],
    )
    assert [type(o) for o in outcomes] == [Result, Result, NotSent]
    assert (outcomes[1].exit_status, outcomes[1].stderr) == (3, "no\n")
    assert trace.exists()


def test_a_read_that_fails_ends_nothing(fleet):
    outcomes = fleet.run_many("nas", [read("cat", "/none"), read("true"), sh("echo on")])
    assert [o.exit_status for o in outcomes] == [1, 0, 0]
    assert outcomes[2].stdout == "on\n"


def test_a_command_that_is_no_program_does_not_end_the_shell(fleet):
    outcomes = fleet.run_many("nas", [change("exit", "0"), sh("echo still here")])
    assert outcomes[1].stdout == "still here\n"


def test_one_command_can_not_read_what_is_meant_for_the_next(fleet):
    greedy, next_one = change("cat", stdin="mine"), change("cat", stdin="yours")
    outcomes = fleet.run_many("nas", [sh("cat"), greedy, next_one])
    assert [o.stdout for o in outcomes] == ["", "mine", "yours"]


def test_what_looks_like_an_end_is_not_one(fleet, sshd):
    """Only the mark ends an answer, and nobody can know it."""
    seen = []
    sshd.answer = lambda call: seen.append(call.stdin()) or call.answer(0, b"0 0\n\n")
    with pytest.raises(HomelabError):
        fleet.run_many("nas", [read("id"), read("id")])
    sshd.answer = lambda call: call.answer(0, bytes(seen[0]).split(b"printf '")[1] * 3)
    with pytest.raises(HomelabError):
        fleet.run_many("nas", [read("id"), read("id")])


def test_a_link_lost_half_way_leaves_the_rest_unknown(fleet, sshd):
    """The first had answered; of the others only a look can tell."""

    def half(call):
        ran = subprocess.run(["sh", "-c", call.line], input=call.stdin(), capture_output=True)
        call.channel.sendall_stderr(ran.stderr)
        call.channel.sendall(b"".join(ran.stdout.splitlines(keepends=True)[:3]))
        call.drop_the_link()

    sshd.answer = half
    outcomes = fleet.run_many("nas", [sh("echo one"), sh("echo two"), sh("echo three")])
    assert [type(o) for o in outcomes] == [Result, OutcomeUnknown, OutcomeUnknown]
    assert outcomes[0].stdout == "one\n"
    assert "echo two" in str(outcomes[1])


def test_reads_lost_are_asked_again_once(fleet, sshd):
    losses = iter([True])
    sshd.answer = lambda call: call.drop_the_link() if next(losses, False) else real_shell(call)
    outcomes = fleet.run_many("nas", [read("uname"), read("id", "-u")])
    assert [o.exit_status for o in outcomes] == [0, 0]
    sshd.answer = lambda call: call.drop_the_link()
    with pytest.raises(Unreachable, match="twice"):
        fleet.run_many("nas", [read("uname"), read("id", "-u")])


@pytest.fixture
def stuck(tmp_path):
    """A pipe that nobody writes to: whoever reads it waits."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    yield str(fifo)
    os.close(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))


def test_each_has_its_own_time(fleet, stuck):
    calls = [sh("echo a", timeout_s=60), change("cat", stuck, timeout_s=0.3), sh("echo c")]
    outcomes = fleet.run_many("nas", calls)
    assert [type(o) for o in outcomes] == [Result, OutcomeUnknown, OutcomeUnknown]
    assert "within 0.3 s" in str(outcomes[1])


def test_a_read_that_takes_too_long_says_so(fleet, stuck):
    late = read("cat", stuck, timeout_s=0.3)
    outcomes = fleet.run_many("nas", [read("id"), late, read("id")])
    assert [type(o) for o in outcomes] == [Result, TooSlow, NotSent]
    with pytest.raises(TooSlow, match=r"within 0\.3 s"):
        fleet.run_many("nas", [late, read("id")])


def test_host_down_means_nothing_was_sent(sshd, tmp_path):
    endpoint = sshd.endpoint(tmp_path, port=1)
    with Fleet({"nas": endpoint}, allow_changes=True) as fleet, pytest.raises(Unreachable):
        fleet.run_many("nas", [sh("true"), sh("true")])


def test_a_plan_sends_none_of_them(sshd, tmp_path):
    with Fleet({"nas": sshd.endpoint(tmp_path)}, allow_changes=False) as fleet:
        with pytest.raises(Refused):
            fleet.run_many("nas", [read("id"), sh("true")])
        assert fleet.run_many("nas", [read("true"), read("true")])
    assert len(sshd.lines) == 1


def test_secrets_go_by_standard_input_and_nowhere_else(fleet, sshd):
    hush = Secret("env:X", lambda: SECRET)
    outcomes = fleet.run_many("nas", [change("wc", "-c", stdin=hush), change("cat", stdin=hush)])
    assert [o.stdout.strip() for o in outcomes] == [str(len(SECRET)), SECRET]
    assert not any(SECRET in line for line in sshd.lines)


def test_a_printf_that_others_see_is_given_nothing(fleet, sshd):
    """Where it is no builtin, the commands are sent one by one."""

    def no_builtin(call):
        if "eval" not in call.line:
            real_shell(call)
            return
        script = call.stdin().replace(b"command -v printf", b"echo /usr/bin/printf")
        ran = subprocess.run(["sh", "-c", call.line], input=script, capture_output=True)
        call.answer(ran.returncode, ran.stdout, ran.stderr)

    sshd.answer = no_builtin
    outcomes = fleet.run_many("nas", [change("cat", stdin="a"), sh("exit 4"), sh("true")])
    assert [o.exit_status for o in outcomes[:2]] == [0, 4]
    assert isinstance(outcomes[2], NotSent)
    assert len(sshd.lines) == 3


def test_a_shell_that_can_not_read_the_script_is_given_them_one_by_one(fleet, sshd):
    def simple(call):
        if "eval" in call.line:
            call.stdin()
            call.answer(2, b"", b'sh: 1: Syntax error: "{" unexpected\n')
        else:
            real_shell(call)

    sshd.answer = simple
    outcomes = fleet.run_many("nas", [sh("echo a"), sh("exit 4"), sh("true")])
    assert [o.exit_status for o in outcomes[:2]] == [0, 4]
    assert isinstance(outcomes[2], NotSent)


def test_one_sudo_for_all(sshd, tmp_path):
    said = b"sudo: a password is required\n"
    sshd.answer = lambda call: call.answer(1, b"", said, ran=False)
    endpoint = sshd.endpoint(tmp_path, user="me")
    with Fleet({"nas": endpoint}, allow_changes=True) as fleet:
        with pytest.raises(AuthenticationRefused):
            fleet.run_many("nas", [read("id", sudo=True), read("id", sudo=True)])
        (line,) = sshd.lines
        assert line.startswith("env LC_ALL=C sudo -n -- env LC_ALL=C /bin/sh -c ")


def test_a_sudo_that_refuses_one_is_no_answer_of_the_program(sshd, tmp_path):
    """`stat` ends with 1 where there is no file; that must not be mixed up."""

    def refuse(call):
        no = "sh -c 'echo sudo: interactive authentication is required >&2; exit 1' "
        script = call.stdin().replace(b"sudo -n -- env LC_ALL=C stat", no.encode())
        line = call.line.replace("sudo -n -- ", "")  # once it obeyed
        ran = subprocess.run(["sh", "-c", line], input=script, capture_output=True)
        call.answer(ran.returncode, ran.stdout, ran.stderr)

    sshd.answer = refuse
    with Fleet({"nas": sshd.endpoint(tmp_path, user="me")}, allow_changes=True) as fleet:
        outcomes = fleet.run_many("nas", [read("id"), read("stat", "/x", sudo=True)])
    assert isinstance(outcomes[0], Result)
    assert isinstance(outcomes[1], AuthenticationRefused)


def test_what_is_too_large_for_a_shell_goes_alone(fleet, sshd):
    large = "x" * (5 * 2**20)
    outcomes = fleet.run_many(
        "nas", [change("wc", "-c", stdin=large), sh("echo b"), change("wc", "-c", stdin="12345")]
    )
    assert [o.stdout.strip() for o in outcomes] == [str(len(large)), "b", "5"]
    assert sshd.lines[0] == "env LC_ALL=C wc -c"
    assert len(sshd.lines) == 2


def _arrived(shell, stdins):
    """What programs read, when a shell runs the script."""
    batch = Batch([Entry(change("od"), "od -An -v -tx1", stdin) for stdin in stdins])
    words = [shell, "sh"] if shell == "busybox" else [shell]
    ran = subprocess.run(
        [*words, "-c", 'eval "$(cat)"'], input=batch.script(), capture_output=True, check=True
    )
    batch.heard.stdout += ran.stdout
    batch.heard.stderr += ran.stderr
    batch.take()
    return [bytes.fromhex(result.stdout) for result in batch.results]


@pytest.mark.parametrize("shell", SHELLS)
@given(stdins=st.lists(st.binary(max_size=40), min_size=1, max_size=4))
@example(stdins=[bytes(range(256)), b"", b"'", b"\\0\\n\\", b"\0\\0\\\0", b"\n\n", b"%s%%", b"-e"])
@settings(max_examples=60, deadline=None)
def test_standard_input_arrives_byte_for_byte(shell, stdins):
    assert _arrived(shell, stdins) == stdins


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    return tmp_path_factory.mktemp("cut") / "ran"


@pytest.mark.parametrize("shell", SHELLS)
@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_a_script_cut_off_on_its_way_does_nothing(shell, trace, data):
    """sshd closes the standard input of what it started when a link breaks."""
    touch = change("sh", "-c", f"touch {trace}", "sh", "it's")
    entries = [Entry(change("touch"), f"touch {trace}", b"'{\n}\n'"), Entry(touch, touch.line, b"")]
    script = Batch(entries * 2).script()
    cut = data.draw(st.integers(0, len(script) - 1))
    words = [shell, "sh"] if shell == "busybox" else [shell]
    subprocess.run([*words, "-c", 'eval "$(cat)"'], input=script[:cut], capture_output=True)
    assert not trace.exists()


# Scripts that a batch's own shell runs instead of starting another for each.
OWN = [
    'echo "$1-$2" "$#"; cat',
    'set -e; a="$1"; trap \'echo over "$a"\' EXIT; cat > /dev/null; false; echo never',
    'echo "${a-unset} ${1+given}"; exit 0',
    "umask 077; cd /; set -f; ulimit -c 0; s=9; c0=9; c1=9; f() { exit 0; }; f; echo never",
    "umask; pwd; echo *none* $-; type f > /dev/null 2>&1 || echo none",
    "trap 'cat' EXIT; exit 0",
    'shift 2> /dev/null && echo "$@"; printf %s "$IFS" | wc -c; IFS=:; set -- b c; exec echo "$*"',
    "if",
    "echo ${unclosed",
    "echo ); touch /tmp/never",
]
_LEFT_OVER = (
    'echo "$# ${a-unset}"; umask; pwd; echo * $-; type f > /dev/null 2>&1 || echo none; cat'
)


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("script", OWN)
@pytest.mark.parametrize(
    ("arguments", "stdin"), [((), b""), (("it's", "-n", "$(id)\n"), b"x\0\n'")]
)
def test_what_the_batch_runs_itself_does_what_it_does_alone(
    shell, script, arguments, stdin, tmp_path
):
    """It gets its words and its input, and leaves nothing behind for the next."""
    if not shutil.which(shell):
        pytest.skip(f"this machine has no {shell}")
    (tmp_path / "sh").symlink_to(shutil.which(shell))
    there = {"cwd": tmp_path, "capture_output": True, "env": {**os.environ, "LC_ALL": "C"}}
    entries, alone = [], []
    for words, fed in (((script, "sh", *arguments), stdin), ((_LEFT_OVER, "sh"), b"y")):
        one = change("sh", "-c", *words)
        entries.append(Entry(one, one.line, fed))
        if not any(status for status, _ in alone):  # a change that fails ends it
            ran = subprocess.run([tmp_path / "sh", *one.argv[1:]], input=fed, **there)
            alone.append((ran.returncode, ran.stdout.decode(errors="replace")))
    batch = Batch(entries)
    ran = subprocess.run([tmp_path / "sh", "-c", batch.script()], **there)
    batch.heard.stdout += ran.stdout
    batch.heard.stderr += ran.stderr
    batch.take()
    assert [(r.exit_status, r.stdout) for r in batch.results] == alone
