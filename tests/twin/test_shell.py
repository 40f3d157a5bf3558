"""The twin's shell does what a POSIX shell does, or says that it can't."""

import os
import re
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
    "printf abc | dd bs=64k conv=excl,fsync status=none of=/tmp/homelab-g; cat /tmp/homelab-g; "
    "printf d | LC_ALL=C dd conv=excl of=/tmp/homelab-g 2>&1; echo $?; rm /tmp/homelab-g",
    "printf abcd | LC_ALL=C dd bs=3 of=/tmp/homelab-h 2>&1 | tail -n 1 | cut -d ' ' -f 1,2; "
    "cat /tmp/homelab-h; rm /tmp/homelab-h",
    "printf a | LC_ALL=C dd of=/tmp/homelab-h 2>&1 | cut -d , -f 1; rm /tmp/homelab-h",
    "(umask 077; printf x | dd status=none of=/tmp/homelab-i); stat -c %a /tmp/homelab-i; "
    "rm /tmp/homelab-i",
    "echo > /tmp/homelab-j; [ -O /tmp/homelab-j ] && [ -G /tmp/homelab-j ] && echo mine; "
    "rm /tmp/homelab-j; [ -O /tmp/homelab-j ] || [ -G /tmp/homelab-j ] || echo nobody",
    "(trap 'echo over' EXIT; echo in; exit 3); echo $?",
    "printf x | (trap 'echo over' EXIT; cat; false); trap 'echo end' EXIT; (echo in); echo out",
    "printf hello | sha256sum",
    "printf hello | base64 | base64 -d",
]


SCRIPTS = [
    # what two scripts of ours and people's one-liners are made of
    "if true; then echo x; fi; if false; then echo y; elif true; then echo z; else echo w; fi",
    "for i in 1 'a b' $(echo 2 3); do echo \"<$i>\"; done; for i in; do echo no; done; echo $i",
    "sh -c 'for a; do echo \"<$a>\"; done' sh 1 'b c'",
    "i=0; while [ $i -lt 3 ]; do i=$((i + 1)); [ $i = 2 ] && continue; echo $i; done",
    "i=9; until [ $i -le 7 ]; do echo $i; i=$((i-1)); done; echo $((7 / 2 * 2 % 4)) $(( 2>1 ))",
    "for i in 1 2; do for j in a b; do echo $i$j; [ $j = a ] || break 2; done; done; echo end",
    "printf 'a b\\nc  d e\\n' | while read -r x y; do echo \"$x-$y\"; done",
    "printf 'one\ntwo\n' | { read a; read b; echo $b $a; }; printf x | { read c; echo $? $c; }",
    "printf 'a:b c:d' | { IFS=: read -r x y z; echo \"$x|$y|$z\"; }",
    'f() { echo "$1 of $#"; return 3; echo never; }; f a b; echo $?; f; g() { f; }; g || echo $?',
    "case abc in x) echo x;; a*|b) echo a;; *) echo other;; esac; case b in ?) echo one; esac",
    "x='a*'; case 'ab' in \"$x\") echo quoted;; $x) echo pattern;; esac",
    "{ echo a; echo b; } | wc -l; (x=2; exit 3); echo $? $x; { echo c; } > /dev/null; echo d",
    "! true; echo $?; ! false; echo $?; if ! false; then echo not; fi",
    "set -e; if false; then :; fi; false || true; (false) || echo caught; false; echo never",
    "set -e; f() { false; echo on; }; f || echo off; f; echo never",
    "set -e; echo $(false; echo in); x=$(false); echo never",
    'set -eu; echo ${unset-default}; echo "$unset"; echo never',
    'a=; echo "${a:-d}${a-e}${b:=f}$b${a:+g}${b:+h}${#b}"',
    "p=/x/y.z.w; echo ${p##*/} ${p%%.*} ${p#*.}",
    "trap 'echo bye $?' EXIT; echo in; exit 4",
    "trap 'echo bye' EXIT; trap - EXIT; echo in",
    "sh -c 'shift; echo $# $1; shift 2; echo $#; \"$@\"' sh 1 2 3; echo $?",
    "sh -c 'a=$1; shift; \"$@\"; echo ${10}' sh x echo 2 3 4 5 6 7 8 9 ten",
    "cat <<END; cat <<'END'; cat <<-END\n$((1+1)) `echo x`\nEND\n$HOME\nEND\n\ttab\n\tEND\necho z",
    "x='a  b'; echo $x; echo \"$x\"; set -- $x; echo $#; IFS=,; y=1,2; echo $y; echo a,b",
    "echo a >&2; { echo b >&2; } 2>&1; echo c 2>&1 >/dev/null; echo d 2>/dev/null",
    "nope; echo $?; /no/such; echo $?; command -v nope; echo $?; command -v cd",
    "printf '%s-%03d|%x\\n' a 7 255; printf '\\101\\n'; printf '%b' 'a\\tb\\n'; printf '%%\\n'",
    "eval 'x=5; echo $x'; export A=1 B; B=2; env | grep -c '^[AB]='; unset A; echo \"$A\"",
    "[ -n a -a -z '' ]; echo $?; [ a = b -o b = b ]; echo $?; [ 1 -eq x ]; [ a b ]; echo $?",
    'cd /; pwd; cd nope; echo $?; cd /tmp; (cd /; pwd); pwd; echo "$PWD"',
    'echo a\\\nb; echo \'it\'\'s\' "a\\"b" a\\ b; echo "a\nb"',
    "echo {a,b} ~nobody a~; echo [qz] 'q*' *nothing*; echo \"$(echo 'a \"b\"')\"",
    "umask; umask 27; umask; sh -c umask; (umask 0; umask); umask",
    "exec echo gone; echo never",
    "while :; do break; done; echo $?; false; while false; do :; done; echo $?",
    "x=1; x=2 true; echo $x; y=$x z=3; echo $y$z; f() { local v=1; v=2; echo $v; }; f",
    '[ "$(printf abc | tail -c 1)" = c ] && echo same; [ -e /dev/null ] || echo none',
]
"""Quoted for Python once: what is in them is what the shell sees."""


@pytest.fixture(scope="module")
def machine():
    world = World(load_lab("data/examples/minipc"))
    machine = Machine("m", world, commands=UNIX)
    machine.files.make_folder("/tmp", mode=0o1777)
    machine.files.make_folder("/dev")
    machine.files.put("/dev/null", "", mode=0o666)
    machine.make_home("root")
    return machine


@pytest.mark.parametrize("line", [line for line in LINES if "1>&2" not in line])
def test_it_prints_what_the_real_one_prints(machine, line):
    real = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False)
    reply = machine.run(line).finished()
    assert (reply.status, reply.out.decode()) == (real.returncode, real.stdout)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_does_what_dash_makes_of_it(machine, script):
    env = {"LC_ALL": "C", "PATH": os.environ["PATH"], "HOME": "/root"}
    dash = ["dash", "-c", f"umask 022; cd /tmp; {script}"]
    real = subprocess.run(dash, capture_output=True, text=True, check=False, env=env)
    reply = machine.run(f"umask 022; cd /tmp; {script}").finished()
    said = reply.err.decode().replace("sh: 1:", "dash: 1:")
    found = (reply.status, reply.out.decode(), re.sub(r": \d+:", ":", said))
    assert found == (real.returncode, real.stdout, re.sub(r": \d+:", ":", real.stderr))


@pytest.mark.parametrize(
    "line",
    ["if true; then echo x", "echo x; fi", "sleep 1 & echo x", "echo 'open", "f() {", "case x in"],
)
def test_what_it_does_not_know_is_an_error(machine, line):
    reply = machine.run(line).finished()
    assert reply.status == 2
    assert reply.out == b""
    assert b"Syntax error" in reply.err


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
