"""The twin's shell does what a POSIX shell does, or says that it can't."""

import subprocess

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.unix import UNIX
from homelab_lib.twin.world import World

LINES = [
    "echo one two",
    "echo 'a  b'   c",
    'echo "x $HOME_NOT_SET y"',
    "printf '%s\\n' a b | head -n 1",
    "echo hi | cat | wc -c",
    "true && echo yes || echo no",
    "false && echo yes || echo no",
    "false; echo $?",
    "set -e; false; echo never",
    "set -e; true && false || true; echo still",
    'A=1; echo "$A${A}2"',
    "B=x sh -c 'echo $B'",
    "echo $(echo inner $(echo deeper))",
    'echo "$(printf "a b")"',
    "sh -c 'echo \"$1-$2\"' sh first 'second word'",
    "sh -c 'for_nothing=1; echo \"$@\"' sh a 'b c'",
    "echo out; echo err 1>&2 2>/dev/null",
    "nonsense 2>/dev/null; echo $?",
    "echo a > /tmp/homelab-shell-test; cat /tmp/homelab-shell-test; rm /tmp/homelab-shell-test",
    "echo a > /tmp/homelab-b; echo b >> /tmp/homelab-b; cat < /tmp/homelab-b; rm /tmp/homelab-b",
    "test -d /tmp && echo there",
    "[ 3 -gt 2 ] && echo more",
    "dirname /a/b/c; basename /a/b/c",
    "echo 'it'\\''s'",
    "echo one # a comment",
    "echo 'a\nb'",
    "exit 3",
    "false || a=1; echo $? $a",
    "trap 'echo over' EXIT; echo begun; exit 3",
    "set -e; trap 'echo over' EXIT; false; echo never",
    "trap 'echo never' EXIT; trap - EXIT; echo done",
    'sh -c \'shift; echo "$1" "$@"\' sh a b c',
    "echo new >> /tmp/homelab-c; cat /tmp/homelab-c; rm /tmp/homelab-c",
    "printf 'ab\\037' | tail -c 2 | wc -c",
    "printf 'a.c\nabc\n' | grep -xF a.c",
    "printf abcd > /tmp/homelab-d; truncate -s -1 /tmp/homelab-d; cat /tmp/homelab-d; "
    "rm /tmp/homelab-d",
    "install -d -m 750 /tmp/homelab-e; stat -c %a /tmp/homelab-e; rm -r /tmp/homelab-e",
    "echo a > /tmp/homelab-f; printf b | install -T -m 600 --backup=numbered /dev/stdin "
    "/tmp/homelab-f; cat /tmp/homelab-f /tmp/homelab-f.~1~; rm /tmp/homelab-f /tmp/homelab-f.~1~",
    "stat --printf '%f|%n\\0' /tmp/../tmp | head -c 1",
    'a=/x/y/z; echo ${a%/*} ${a#/x} ${a%nope} "${a#*/}"',
    "sh -c 'echo ${1%:*} ${1#*:}' sh user:group",
    "echo abc | grep -c b",
    "echo abc | cut -c 2-",
    "printf 'x\\ny\\nz\\n' | tail -n 2",
    "printf hello | sha256sum",
    "printf hello | base64 | base64 -d",
]


@pytest.fixture(scope="module")
def machine():
    world = World(load_lab("data/examples/minipc"))
    machine = Machine("m", world, commands=UNIX)
    machine.files.mkdir("/tmp")
    machine.files.mkdir("/root")
    return machine


@pytest.mark.parametrize("line", [line for line in LINES if "1>&2" not in line])
def test_it_prints_what_the_real_one_prints(machine, line):
    real = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False)
    reply = machine.run(line).finished()
    assert (reply.status, reply.out.decode()) == (real.returncode, real.stdout)


@pytest.mark.parametrize(
    "line",
    ["if true; then echo x; fi", "for i in 1 2; do echo $i; done", "echo 'open", "f() { :; }"],
)
def test_what_it_does_not_know_is_an_error(machine, line):
    reply = machine.run(line).finished()
    assert reply.status != 0
    assert reply.out == b""


def test_an_unknown_program_ends_with_127(machine):
    reply = machine.run("zpool destroy -f tank")
    assert reply.status == 127
    assert b"not found" in reply.err


def test_standard_input_goes_to_whoever_reads_it(machine):
    line = 'sh -c \'set -e; umask 077; d=$(dirname "$1"); cat > "$1"\' sh /tmp/given'
    assert machine.run(line, b"text").status == 0
    assert machine.files.read("/tmp/given") == b"text"


def test_a_full_disk_is_said_and_the_old_file_stays(machine):
    machine.files.put("/tmp/kept", b"old")
    machine.files.full = True
    try:
        reply = machine.run("sh -c 'set -e; cat > /tmp/kept.new; mv /tmp/kept.new /tmp/kept'", b"x")
        assert reply.status != 0
        assert b"No space left on device" in reply.err
        assert machine.files.read("/tmp/kept") == b"old"
    finally:
        machine.files.full = False
