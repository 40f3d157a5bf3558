"""Samba and shadow themselves beside the twin's, and our shares on them, in a namespace."""

import os
import shlex
import shutil
import subprocess
import time

import pytest

from homelab_lib.control.linux import samba
from homelab_lib.control.linux.folders import OwnedFolder
from homelab_lib.control.linux.members import UnixGroup, UnixUser
from homelab_lib.control.linux.samba import MAIN, OURS, SambaShares, SambaUser
from homelab_lib.lab import load_lab
from homelab_lib.lab.accounts import ShareAcl
from homelab_lib.lab.storage import SmbShare
from homelab_lib.recipes.nas.linux_access import section
from homelab_lib.secret import Secret
from homelab_lib.twin.machine import packages
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.services import SERVICES
from homelab_lib.twin.machine.unix import UNIX
from homelab_lib.twin.world import World
from real.alone import Alone

pytestmark = pytest.mark.real

# As on a fresh Debian that nobody has an account on yet, but for whom its own packages know.
FRESH = """\
mkdir -p /var/lib/samba/private /run/samba /var/log/samba
for each in passwd group; do
    awk -F: '$3 < 1000 || $3 > 60000' /etc/$each > /etc/$each.new; mv /etc/$each.new /etc/$each
done
awk -F: 'NR == FNR { known[$1]; next } $1 in known' /etc/passwd /etc/shadow > /etc/shadow.new
mv /etc/shadow.new /etc/shadow
awk -F: 'NR == FNR { known[$1]; next } $1 in known' /etc/group /etc/gshadow > /etc/gshadow.new
mv /etc/gshadow.new /etc/gshadow
"""


@pytest.fixture
def alone():
    lacks = [each for each in ("smbd", "smbclient", "unshare") if shutil.which(each) is None]
    if os.geteuid() != 0 or lacks:
        pytest.skip(f"not root, or no {', '.join(lacks)} here (packages samba, smbclient)")
    made = Alone(("/etc",), ("/var/lib", "/run", "/var/log", "/mnt"), FRESH)
    made.run(f"cp /usr/share/samba/smb.conf {MAIN}")
    yield made
    made.close()


@pytest.fixture
def twin():
    machine = Machine("alone", World(load_lab("data/examples/minipc")), commands=UNIX)
    machine.world.services.update(SERVICES)
    packages.install(machine, "samba")
    packages.install(machine, "smbclient")
    machine.units["smbd"].stop(machine)
    return machine


@pytest.fixture
def serving(alone):
    """Samba runs."""
    words = alone.inside("smbd", "--foreground", "--no-process-group")
    # At its end it ends all of its process group: one of its own.
    smbd = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 10
    while not samba.shown(alone)[0] and time.monotonic() < deadline:
        time.sleep(0.05)
    yield alone
    smbd.terminate()
    smbd.wait()


def conf(text: str) -> str:
    return f"printf %s {shlex.quote(text)} > {MAIN}"


SHARE = f"[family]\n path = /mnt\n  comment = Ours\nread only=no\ninclude = {OURS}\nguest ok = 1\n"
ACCOUNTS = [
    "groupadd family", "groupadd family", "groupadd --gid 4000 media", "groupadd --gid 4000 other",
    "groupadd 'a b'",
    "useradd --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "
    "--comment Ann,,,,homelab-attic --user-group --groups family,media ann",
    "useradd --no-create-home ann", "useradd --no-create-home --user-group media",
    "useradd --no-create-home --gid nowhere ben", "useradd --gid media --groups nowhere ben",
    "useradd --no-create-home --gid media --uid 65534 ben", "useradd --comment a:b ben",
    "useradd --no-create-home --uid 4500 --gid media --shell /bin/nope ben",
    "useradd 'b n'", "useradd --no-create-home Ann.B", "getent passwd Ann.B", "groupadd Fam.ily",
    "groupadd 0", f"groupadd {'g' * 33}", f"useradd {'u' * 33}", "groupadd -- +x", "groupadd a,b",
    "usermod --append --groups family ben", "usermod --append --groups nope ben",
    "usermod --append --groups family zed", "id ann", "id ben", "getent passwd ann ben",
    "getent group family media ann",
]  # fmt: skip
SEQUENCES = [
    ACCOUNTS,
    ["useradd ann", "pdbedit -L", "pdbedit -L -u ann", "printf 'a\\nb\\n' | smbpasswd -s -a ann",
     "printf '' | smbpasswd -s -a ann", "printf 'pw\\npw\\n' | smbpasswd -s -a zed",
     "printf 'pw\\npw\\n' | smbpasswd -s ann", "printf 'pw\\npw\\n' | smbpasswd -s -a ann",
     "printf 'pw\\npw\\n' | smbpasswd -s -a ann", "pdbedit -L -u ann", "smbpasswd -d ann",
     "pdbedit -L -v -u ann | grep Flags", "smbpasswd -e ann", "pdbedit -L -v -u ann | grep Flags",
     "smbpasswd -x ann", "smbpasswd -x ann", "pdbedit -L -u ann"],
    ["testparm -s", "smbclient -N -g -L 127.0.0.1", 
     f"printf '[films]\\npath=/mnt/f\\n' > {OURS}", conf(SHARE), "testparm -s"],
    [f"echo 'include = {OURS}' >> {MAIN}", "testparm -s",
     f"printf '[films]\\npath=/mnt/f\\nvalid users = +family, ann\\n' > {OURS}", "testparm -s",
     f"printf '[HOMES]\\nbrowsable = yes\\n[Films]\\nwritable = no\\n' >> {OURS}", "testparm -s"],
    [conf("[family\n"), "testparm -s", conf("[a]\nfoo = 1\nread only = maybe\n"), "testparm -s",
     conf("[a]\nfoo = 1\n"), "testparm -s", f"rm {MAIN}", "testparm -s"],
]  # fmt: skip


@pytest.mark.parametrize("lines", SEQUENCES, ids=lambda lines: lines[0][:40])
def test_the_twins_answers_are_the_real_ones(alone, twin, lines):
    for line in lines:
        real, ours = alone.run(line), twin.run(line).finished()
        assert ours.status == real.exit_status, (line, real, ours)
        assert ours.out.decode() == real.stdout, line
        if not line.startswith(("smbclient", "printf")):
            assert ours.err.decode() == real.stderr, line


# Ours on the real one ----------------------------------------------------------------------------

PASSWORD = "correct horse"


def share(name: str, *entries: dict) -> tuple[str, tuple[str, ...]]:
    described = SmbShare(name=name, path=f"/mnt/{name}", purpose="100 % ours", phase=1)
    acl = ShareAcl(name=name, entries=entries) if entries else None
    return name, section(described, acl)


def may(who: str, what: str, **more) -> dict:
    return {"who": who, "may": what} | more


HOUSE = (
    UnixGroup("alone", "family"),
    *(
        UnixUser("alone", "attic", each, each.title(), groups=("family",))
        for each in ("ann", "ben")
    ),
    *(UnixUser("alone", "attic", each, each.title()) for each in ("cat", "dan")),
    *(SambaUser("alone", e, Secret("pw", lambda: PASSWORD)) for e in ("ann", "ben", "cat", "dan")),
    OwnedFolder("alone", "/mnt/family", "2770", group="family", lab="attic"),
    OwnedFolder("alone", "/mnt/films", "2775", group="family", lab="attic"),
    SambaShares(
        "alone",
        "attic",
        (
            share("family", may("group:family", "CHANGE")),
            share(
                "films",
                may("everyone@", "READ"),
                may("user:ann", "FULL"),
                may("user:dan", "FULL", allow=False),
            ),
        ),
    ),
)


@pytest.fixture
def house(serving):
    for each in HOUSE:
        assert serving.converge(each)
    return serving


def as_(house: Alone, user: str, place: str, what: str) -> str:
    """What a user's client says; empty where all went well."""
    login = shlex.quote(f"{user}%{PASSWORD}")
    done = house.run(f"cd /mnt && smbclient -U {login} //127.0.0.1/{place} -c {shlex.quote(what)}")
    words = (done.stdout + done.stderr).split()
    return next((word for word in words if word.startswith("NT_STATUS")), "")


REFUSED = "NT_STATUS_ACCESS_DENIED"


def test_who_is_let_in_and_who_may_write_is_what_the_lab_says(house):
    house.write("/mnt/photo", "first")
    assert as_(house, "ann", "family", "mkdir 2026; put photo 2026/photo") == ""
    house.write("/mnt/photo", "second")
    assert as_(house, "ben", "family", "put photo 2026/photo; mkdir 2026/may") == "", (
        "what one of them makes, the other changes"
    )
    assert house.run("cat /mnt/family/2026/photo").stdout == "second"
    assert as_(house, "cat", "family", "ls") == REFUSED
    owners = house.run("stat -c %a:%U:%G /mnt/family/2026 /mnt/family/2026/photo").stdout.split()
    assert owners == ["2770:ann:family", "660:ann:family"]
    assert house.run("setpriv --reuid cat --regid cat --clear-groups ls /mnt/family").exit_status
    assert as_(house, "ann", "films", "put photo film") == ""
    assert as_(house, "ben", "films", "get film seen") == ""
    assert as_(house, "ben", "films", "put photo film") == REFUSED
    assert as_(house, "dan", "films", "ls") == REFUSED
    for place in ("family", "films"):
        assert REFUSED in house.run(f"smbclient -N //127.0.0.1/{place} -c ls").stdout


def test_it_is_made_once_taken_back_and_debians_own_shares_stay(house):
    assert [house.converge(each) for each in HOUSE] == [[] for _ in HOUSE]
    found, _ = samba.shown(house)
    assert found >= {"family", "films", "print$"}
    assert "[homes]" in house.run("testparm -s").stdout
    fewer = SambaShares("alone", "attic", (share("films"),))
    assert len(house.converge(fewer)) == 1
    assert samba.shown(house)[0] == {"films", "print$", "nobody"}
    assert house.run("ls /mnt").stdout.split() == ["family", "films"]
    kept = house.run(f"cmp {MAIN}.before-homelab /usr/share/samba/smb.conf")
    assert kept.exit_status == 0
    assert house.run(f"mv {MAIN}.before-homelab {MAIN}; testparm -s").exit_status == 0
    assert samba.shown(house)[0] == {"print$", "nobody"}, "undone as the plan says"


@pytest.mark.parametrize("name", ["family", "FAMILY"])
def test_a_share_of_somebody_stays_and_stops_us(alone, name):
    alone.write("/etc/samba/theirs.conf", f"[{name}]\npath = /mnt\n")
    alone.run(f"echo 'include = /etc/samba/theirs.conf' >> {MAIN}")
    wanted = SambaShares("alone", "attic", (share("family"),))
    assert "shares family already" in wanted.diff(wanted.observe(alone)).conflict


def test_a_folder_that_somebody_made_is_not_given_away(alone):
    alone.run("mkdir /mnt/family && groupadd family && echo letter > /mnt/family/letter")
    wanted = OwnedFolder("alone", "/mnt/family", "2770", group="family", lab="attic")
    assert "we did not make it: it is 755 root:root" in wanted.diff(wanted.observe(alone)).conflict
    alone.run("mkdir -p /var/lib/homelab; printf 'attic\\t/mnt/family\\n' > /var/lib/homelab/files")
    assert alone.converge(wanted) == ["give /mnt/family to 2770 root:family"]
    other = OwnedFolder("alone", "/mnt/family", "2750", user="root", group="family", lab="attic")
    diff = other.diff(other.observe(alone))
    assert diff.changes[0].replaces == "2770 root:family"
    alone.converge(other)
    assert alone.run(diff.changes[0].undo).exit_status == 0
    assert alone.run("stat -c %a:%G /mnt/family").stdout == "2770:family\n"
