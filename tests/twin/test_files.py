"""Files, folders, links and permissions on a twin are what they are on a real Debian.

Each script is run by the real shell and programs in a folder of its own, by a user who is not
root, and by the twin. What both print, and how they end, is the same.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.twin.machine.entry import Entry, FileError, Who
from homelab_lib.twin.machine.files import FileSystem
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Commands, Reply
from homelab_lib.twin.machine.tree import Mount
from homelab_lib.twin.machine.unix import UNIX
from homelab_lib.twin.world import World

SCRIPTS = [
    # modes of what is made
    "umask 077; mkdir -p a/b; stat -c '%a %F' a a/b",
    "umask 027; touch f; mkdir d; : > g; stat -c '%a %f' f d g",
    "mkdir -m 750 -p x/y; stat -c %a x x/y",
    "umask 077; install -d -m 755 -- d; stat -c '%a %f' d",
    "umask 077; echo x > f; install -m 644 f g; cp f h; stat -c %a f g h",
    "echo x > f; chmod 755 f; cp f g; stat -c %a g",
    "umask 022; echo a > f; chmod 600 f; echo b > f; stat -c '%a %s' f",
    "touch f; chmod u+x,go-r f; stat -c '%a %A' f; chmod a=r f; stat -c %a f",
    # who may what
    "mkdir d; echo x > d/f; chmod 600 d; cat d/f; echo $?; [ -e d/f ]; echo $?; stat d/f; ls d/f",
    "mkdir d; chmod 300 d; ls d; echo x > d/f; cat d/f",
    "mkdir d; chmod 500 d; echo x > d/f; echo $?; touch d/f; mkdir d/e; rm -f d/f; echo $?",
    "echo x > f; chmod 000 f; cat f; sha256sum f; head -c 1 f; [ -r f ]; echo $?; cp f g",
    "echo x > f; chmod 400 f; echo y > f; echo $?; [ -w f ]; echo $?; [ -x f ]; echo $?",
    "mkdir d; echo x > d/f; chmod 500 d; rm d/f; mv d/f g; chmod 700 d; cat d/f",
    "cat /etc/shadow; echo x > /etc/homelab-no; mkdir /etc/homelab-no; echo $?",
    "touch f; chown root f; echo $?; chmod 644 /etc/passwd; echo $?",
    # links
    "ln -s a b; ln -s b a; cat a; [ -e a ]; echo $?; [ -L a ]; echo $?; stat -L a; : > a; ls a/x",
    "mkdir -p real/sub; echo x > real/f; ln -s real/sub l; cat l/../f; readlink l; ls -d l",
    "ln -s nowhere l; [ -e l ]; echo $?; echo hi > l; cat nowhere; stat -c %F l nowhere",
    "mkdir d; ln -s d l; echo x > l/f; cat d/f; rm l; ls d; [ -d l ]; echo $?",
    "mkdir d; ln -s d l; rm -r l/; echo $?; ls",
    "echo a > f; ln -s f l; echo b > g; install -T -m 644 g l; stat -c %F l; cat f l",
    "echo a > f; ln -s f l; cp l g; stat -c %F g; mv l m; stat -c %F m; cat m",
    "ln -s x l; ln -s y l; ln -sfn z l; readlink l",
    "mkdir -p a/b; ln -s a/b l; readlink -f l/../c; readlink -f l/x; readlink -f no/x; echo $?",
    "mkdir d; cd d; mkdir e; cd e; echo x > ../f; cat ../f; cd ../..; cat d/f",
    # what is no folder, what is not there
    "echo x > f; cat f/x; mkdir f/x; [ -d f/ ]; echo $?; stat f/; ls f/.; : > f/x",
    "mkdir d; cat d; rm d; echo x > d; rmdir d; rmdir d; cat no; rm no; rm -f no; echo $?",
    "mkdir d; touch d/f; rmdir d; mkdir d; mkdir -p d; echo $?; mkdir no/x; mkdir -p no/x; ls",
    "mv no x; cp no x; stat no; touch no/x; head no; tail no; wc no; find no; sha256sum no",
    "mkdir d; echo x > f; mv -T f d; install -T f d; install no x; mv d f; echo $?",
    "echo x > f; echo x > g; mkdir d e; touch e/f; mv -T d e; mv f d; ls d; rm -r d e; ls",
    # parts of files
    "printf abcdef > f; head -c 2 f; tail -c 1 f; truncate -s -1 f; cat f; truncate -s 3 f; cat f",
    "printf 'a\\nb\\nc\\n' > f; tail -n 1 f; tail -n +2 f; head -n 1 f; tail -n 9 f; wc -l f",
    "echo a > f; echo b > g; install --backup=numbered f g; ls; cat g g.~1~",
    "echo 'lab\t/x y' > f; grep -qsxF -e 'lab\t/x y' f; echo $?; grep -qsxF -e lab f no; echo $?",
    "echo x > f; sha256sum f > s; sha256sum -c s; echo y > f; sha256sum -c s; rm f; sha256sum -c s",
]


def _nobody() -> list[str]:
    """Words that make the rest run without root's rights."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def real(script: str, folder: object) -> tuple[int, str, str]:
    """What the real shell makes of a script, in a fresh folder."""
    shutil.chown(folder, *([65534, 65534] if os.geteuid() == 0 else [os.getuid(), os.getgid()]))
    argv = [*_nobody(), "sh", "-c", f"umask 022; cd {folder}; {script}"]
    env = {"LC_ALL": "C", "PATH": os.environ["PATH"], "HOME": str(folder)}
    ran = subprocess.run(argv, capture_output=True, text=True, check=False, env=env)
    return ran.returncode, ran.stdout, ran.stderr.replace("/usr/bin/", "")


@pytest.fixture(scope="module")
def world():
    return World(load_lab("data/examples/minipc"))


@pytest.fixture
def machine(world):
    machine = Machine("m", world, user="homelab", commands=UNIX)
    machine.files.make_folder("/tmp", mode=0o1777)
    machine.make_home("root")
    machine.make_home("homelab")
    machine.files.put("/etc/shadow", "root:*\n", mode=0o640, group="shadow")
    machine.files.put("/etc/passwd", "")
    return machine


def run(machine: Machine, line: str, stdin: bytes = b"") -> tuple[int, str, str]:
    reply = machine.run(line, stdin).finished()
    return reply.status, reply.out.decode(), reply.err.decode()


@pytest.fixture
def scratch():
    """A folder that everybody can get to, which those of pytest are not."""
    folder = Path(tempfile.mkdtemp(prefix="homelab-"))
    folder.chmod(0o755)
    yield folder
    subprocess.run(["chmod", "-R", "u+rwX", folder], check=True)
    shutil.rmtree(folder)


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_does_what_the_real_one_does(machine, scratch, script):
    folder = f"/tmp/{scratch.name}"
    assert machine.run(f"mkdir {folder}").status == 0
    found = run(machine, f"cd {folder}; {script}")
    assert tuple(str(part).replace(folder, str(scratch)) for part in found) == tuple(
        map(str, real(script, scratch))
    )


def test_a_user_does_not_get_through_a_folder_of_root(machine):
    made = run(machine, "sudo sh -c 'umask 077; mkdir -p /srv/new/in; echo x > /srv/new/in/f'")
    assert made[0] == 0
    assert run(machine, "sudo stat -c '%a %U:%G' /srv/new /srv/new/in /srv/new/in/f") == (
        0,
        "700 root:root\n700 root:root\n600 root:root\n",
        "",
    )
    refused = run(machine, "cat /srv/new/in/f")
    assert refused == (1, "", "cat: /srv/new/in/f: Permission denied\n")
    assert run(machine, "stat /srv/new/in/f")[2].endswith("Permission denied\n")
    assert run(machine, "sudo cat /srv/new/in/f")[1] == "x\n"


def test_whose_rights_a_program_has(machine):
    machine.accounts.add("alice", group="staff")
    line = "sudo runuser -u alice -- sh -c 'id -un; id -gn; echo $HOME; touch /tmp/hers'"
    assert run(machine, line)[1] == "alice\nstaff\n/root\n"
    assert run(machine, "stat -c %U:%G /tmp/hers; rm /tmp/hers")[:2] == (1, "alice:staff\n")
    assert run(machine, "runuser -u alice -- id")[0] == 1
    assert run(machine, "sudo env | grep -c ^HOME=/root")[1] == "1\n"


def test_accounts_are_looked_up(machine):
    machine.accounts.add("alice", uid=1005, group="staff", home="/srv/alice")
    assert run(machine, "getent passwd alice nobody")[1] == (
        "alice:x:1005:1005::/srv/alice:/bin/bash\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    )
    assert run(machine, "getent passwd alice no")[0] == 2
    assert run(machine, "getent group staff sudo")[1] == "staff:x:1005:\nsudo:x:27:\n"
    assert run(machine, "id -gn; id alice; id -u no") == (
        1,
        "homelab\nuid=1005(alice) gid=1005(staff) groups=1005(staff)\n",
        "id: 'no': no such user\n",
    )


def test_only_root_gives_files_away(machine):
    assert run(machine, "touch /tmp/f; chown root /tmp/f; install -o root /tmp/f /tmp/g")[2] == (
        "chown: changing ownership of '/tmp/f': Operation not permitted\n"
        "install: cannot change ownership of '/tmp/g': Operation not permitted\n"
    )
    assert run(machine, "sudo chown root:root /tmp/f; stat -c %U:%G /tmp/f")[1] == "root:root\n"


def test_a_failing_disk_is_no_missing_file(machine):
    disk = FileSystem()
    disk.put("/f", "x")
    machine.files.mkdir("/mnt")
    machine.files.mount(Mount("/mnt", disk, "/", "/dev/sdb", "ext4"))
    disk.failing = True
    assert run(machine, "cat /mnt/f; sudo touch /mnt/g; ls /mnt; [ -e /mnt/f ]; echo $?") == (
        0,
        "0\n",
        "cat: /mnt/f: Input/output error\ntouch: cannot touch '/mnt/g': Input/output error\n"
        "ls: cannot open directory '/mnt': Input/output error\n",
    )


def test_what_a_real_host_cannot_tell_is_not_nothing():
    files = FileSystem(loader=lambda paths: {"/d": Entry("dir"), "/d/f": FileError("Stale handle")})
    with pytest.raises(FileError, match="Stale handle"):
        files.entry("/d/f")
    assert files.entry("/d/g") is None


def test_the_real_host_is_asked_once_for_all_of_a_path():
    asked = []

    def load(paths):
        asked.append(list(paths))
        return {"/a": Entry("dir", mode=0o700), "/a/b": Entry("dir"), "/a/b/c": Entry("file")}

    files = FileSystem(loader=load)
    assert files.stat("/a/b/c").kind == "file"
    assert asked == [["/", "/a", "/a/b", "/a/b/c"]]
    files.stat("/a/b")
    assert len(asked) == 1
    with pytest.raises(FileError, match="Permission denied"):
        files.stat("/a/b/c", Who("homelab", "homelab", frozenset()))


def test_a_mistake_in_the_twin_is_said_aloud(machine, caplog):
    programs = Commands()

    @programs("breaks")
    def breaks(machine, call):
        return {}["missing"]

    @programs("breaks-late")
    def breaks_late(machine, call):
        return Reply(takes_s=5, finish=lambda: 1 / 0)

    machine.commands.append(programs)
    fault = (70, "", "twin: fault in breaks: KeyError: 'missing'\n")
    assert run(machine, "breaks") == fault
    assert run(machine, "breaks-late")[0] == 70
    assert run(machine, "breaks; echo $?")[1] == "70\n"
    assert "KeyError" in caplog.text


def test_curl_and_wget_are_where_their_packages_are(machine):
    assert run(machine, "curl -V; command -v curl wget; which curl")[0] == 1
    machine.packages["wget"] = "1.25.0-2"
    assert run(machine, "command -v wget; curl x") == (
        127,
        "/usr/bin/wget\n",
        "sh: 1: curl: not found\n",
    )


def test_wget_keeps_a_file_and_says_why_not(machine, monkeypatch):
    machine.packages["wget"] = "1.25.0-2"
    monkeypatch.setattr(machine.world, "internet", lambda source: "")
    monkeypatch.setitem(machine.world.site, "https://example.org/f", Entry("file", b"text"))
    assert run(machine, "wget -q -O /tmp/f https://example.org/f; cat /tmp/f")[1] == "text"
    assert run(machine, "wget -q -O /tmp/g https://example.org/no; [ -e /tmp/g ]")[0] == 1
    assert run(machine, "wget -q -O /srv/f https://example.org/f")[0] == 3


@pytest.mark.parametrize("line", ["sha256sum /tmp/large", "sha256sum < /tmp/large"])
def test_a_file_of_which_only_the_digest_is_known_has_it_by_whatever_way_it_is_read(machine, line):
    machine.files.put("/tmp/large", b"stands for it", digest="5" * 64)
    assert run(machine, line)[1].startswith("5" * 64)
