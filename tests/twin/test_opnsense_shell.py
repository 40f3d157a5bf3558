"""OPNsense's shell: csh's way with a line, FreeBSD's programs, what runs on in the background."""

import hashlib

import pytest

from csh_lines import LINES
from homelab_lib.lab import load_lab
from homelab_lib.transport import quoting
from homelab_lib.twin.built import built
from homelab_lib.twin.fidelity import rests_on
from homelab_lib.twin.machine.grounds import GROUNDS as MACHINE
from homelab_lib.twin.machine.program import Call
from homelab_lib.twin.opnsense.programs import OPNSENSE
from homelab_lib.twin.opnsense.shell_grounds import SHELL_GROUNDS


@pytest.fixture(scope="module")
def shared():
    """A box that nobody changes."""
    return built(load_lab(), before_phase=2).machines["firewall"]


@pytest.fixture
def box():
    return built(load_lab(), before_phase=2).machines["firewall"]


def run(box, line, stdin=b""):
    """What a login leaves, once its time has passed."""
    reply = box.run(line, stdin)
    box.world.clock.sleep(reply.takes_s)
    reply = reply.finished()
    return reply.status, reply.out.decode(), reply.err.decode()


@pytest.mark.parametrize(("line", "status", "out", "err"), LINES)
def test_csh_reads_a_line_its_own_way(shared, line, status, out, err):
    assert run(shared, line) == (status, out, err)


def test_output_and_errors_go_into_one_file(box):
    assert run(box, "ls /nope >& /tmp/said; cat /tmp/said")[1].startswith("ls: ")
    assert run(box, "echo more >> /tmp/said; grep -c . /tmp/said")[1] == "2\n"


@pytest.mark.parametrize(
    "words",
    [
        ("echo", "it's", "a\\b", "!x", "$HOME", "`id`", "~", "*", "{a,b}"),
        ("/bin/sh", "-c", 'echo $(echo nested) 2>&1; echo "$0"', "zero"),
        ("printf", "%s|", "two\nlines", "$x"),
    ],
)
def test_what_our_transport_quotes_arrives_as_it_was(shared, words):
    plain = shared.call(_call(words)).finished()
    assert run(shared, quoting.join(words))[1] == plain.out.decode()


def _call(words):
    return Call(tuple(words), env={"HOME": "/root", "PATH": "/bin"}, cwd="/root")


def test_a_script_on_standard_input(shared):
    assert run(shared, "/bin/sh", b"x=$(echo 1)\necho $x 2>&1\n") == (0, "1\n", "")


def test_freebsds_programs_differ_from_gnus(box):
    box.files.put("/tmp/f", "hello\n", mode=0o640)
    digest = hashlib.sha256(b"hello\n").hexdigest()
    assert run(box, "sha256 -q /tmp/f")[1] == f"{digest}\n"
    assert run(box, "sha256 /tmp/f")[1] == f"SHA256 (/tmp/f) = {digest}\n"
    assert run(box, "stat -f '%Lp %Su %z %N' /tmp/f")[1] == "640 root 6 /tmp/f\n"
    assert run(box, "stat -c %s /tmp/f")[0] == 1
    assert run(box, "date -r 0 +%Y")[1] == "1970\n"
    assert run(box, "date -d @0")[0] == 1
    assert run(box, "uname -r")[1] == "15.1-RELEASE-p1\n"
    assert run(box, "opnsense-version -v")[1] == "26.7.2\n"
    assert run(box, "sysctl -n hw.nope") == (1, "", "sysctl: unknown oid 'hw.nope'\n")
    assert int(run(box, "sysctl -n hw.physmem")[1]) > 2**34


@pytest.mark.parametrize("name", ["systemctl", "ip", "dpkg-query", "apt-get", "lsblk"])
def test_what_linux_alone_has_is_not_there(shared, name):
    assert run(shared, name) == (1, "", f"{name}: Command not found.\n")


def test_what_runs_in_the_background_finds_what_is_there_when_it_wakes(box):
    run(box, "touch /tmp/armed /tmp/gone")
    script = "sleep 180; [ -e /tmp/armed ] && touch /tmp/fired; [ -e /tmp/gone ] && touch /tmp/bad"
    assert run(box, quoting.join(("/usr/sbin/daemon", "-f", "/bin/sh", "-c", script))) == (
        0,
        "",
        "",
    )
    assert "sleep 180" in run(box, "pgrep -lf armed")[1]
    run(box, "rm /tmp/gone")
    box.world.clock.sleep(179)
    assert not box.files.exists("/tmp/fired")
    box.world.clock.sleep(2)
    assert box.files.exists("/tmp/fired")
    assert not box.files.exists("/tmp/bad")
    assert run(box, "pgrep -f armed")[0] == 1


@pytest.mark.parametrize(
    "loop",
    [
        "while [ -e /tmp/flag ]; do sleep 5; done",
        "until [ ! -e /tmp/flag ]; do sleep 5; done",
        "while true; do [ -e /tmp/flag ] || break; sleep 5; done",
        "while true; do if [ -e /tmp/flag ]; then sleep 5; continue; fi; break; done",
    ],
)
def test_a_loop_in_the_background_waits_each_time(box, loop):
    run(box, "touch /tmp/flag")
    script = f"{loop}; touch /tmp/over"
    run(box, quoting.join(("daemon", "-f", "/bin/sh", "-c", script)))
    box.world.clock.sleep(60)
    assert not box.files.exists("/tmp/over")
    run(box, "rm /tmp/flag")
    box.world.clock.sleep(6)
    assert box.files.exists("/tmp/over")


@pytest.mark.parametrize("how", ["kill", "reboot"])
def test_what_was_killed_does_nothing_more(box, how):
    script = "sleep 100; touch /conf/fired"
    run(box, quoting.join(("daemon", "-f", "-p", "/var/run/x.pid", "/bin/sh", "-c", script)))
    if how == "kill":
        assert run(box, quoting.join(("/bin/sh", "-c", "kill $(cat /var/run/x.pid)")))[0] == 0
    else:
        box.reboot()
    box.world.clock.sleep(600)
    assert not box.files.exists("/conf/fired")


def test_configd_says_what_it_does_not_know_and_its_client_ends_well(shared):
    assert run(shared, "configctl nope") == (0, "Action not allowed or missing\n", "")
    assert run(shared, "configctl interface reconfigure lan") == (0, "OK\n", "")


def test_every_program_says_what_it_rests_on(shared):
    own = {name for commands in OPNSENSE[:6] for name in commands.bodies}
    said = {grounds.call.split()[0].rpartition("/")[2] for grounds in SHELL_GROUNDS}
    assert own - said == set()
    elsewhere = {grounds.call for grounds in MACHINE} | {"curl"}
    assert {name for commands in OPNSENSE[6:] for name in commands.bodies} - elsewhere == set()
    for line, rests in (("sha256 -q /x", "documentation"), ("configctl filter reload", "source")):
        assert rests_on(shared.world.shelves, shared, line) == rests


def test_a_boot_runs_what_is_there_before_it_reads_the_configuration(box):
    """In the order of the names; what may not be executed is passed over, and stops nothing."""
    early, start = (f"/usr/local/etc/rc.syshook.d/{each}" for each in ("early", "start"))
    lines = {
        f"{early}/01-a": "cp /conf/old.xml /conf/config.xml\nfalse\n",
        f"{early}/02-b": "echo b >> /root/told\nrm /usr/local/etc/rc.syshook.d/early/02-b\n",
        f"{start}/50-c": "echo c >> /root/told\n",
    }
    for path, text in lines.items():
        box.files.put(path, f"#!/bin/sh\n{text}", mode=0o755)
    box.files.put(f"{early}/03-d", "#!/bin/sh\necho d >> /root/told\n")
    root = box.config.load()
    box.files.put("/conf/old.xml", box.files.text("/conf/config.xml"))
    root.find("interfaces/opt2/ipaddr").text = "10.0.20.77"
    box.config.save(root, by="root@10.0.10.50", description="changed")
    box.reboot()
    box.world.clock.sleep(300)
    assert box.files.text("/root/told") == "b\nc\n"
    assert not box.files.exists(f"{early}/02-b")
    assert box.links.of("opt2").addresses == ["10.0.20.1/24"]
