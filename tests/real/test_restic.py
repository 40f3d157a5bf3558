"""The real restic, told what our resources tell it: at an S3 endpoint, over SFTP and in a folder.

moto stands in for Backblaze; the second location is an sshd on loopback.
"""

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from homelab_lib.control.linux import copies, drills, restic
from homelab_lib.control.linux.drills import RestoreDrill, last_drill
from homelab_lib.control.linux.restic import Access, Repository, locks, newest, tags
from homelab_lib.errors import StepFailed
from homelab_lib.secret import Secret
from homelab_lib.transport.command import Result, read
from real.opensshd import SSHD, OpenSshd, public, separation_folder, until

PROGRAMS = {
    "restic": "restic",
    "moto_server": "moto[s3,server], from PyPI",
    "ssh": "openssh-client",
}
MISSING = [f"{p} ({package})" for p, package in PROGRAMS.items() if shutil.which(p) is None]
MISSING += ["sshd (openssh-server)"] * (SSHD is None)
WHY = f"this machine has no {', '.join(MISSING)}"
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(MISSING), reason=WHY)]
LAB, KEEP = "lab", {"daily": 7}
KEY = "correct horse battery staple"
LOGIN = ("AKIAEXAMPLEEXAMPLE", "nobody's secret access key")


class Here:
    """This machine, to resources a host that can only be looked at; and what changes it."""

    name = "here"

    def begun(self, resource):
        return self.was_begun

    def cut(self, text, limit, *, end=False):
        return text[-limit:] if end else text[:limit]

    def __init__(self, path: str = "", begun: bool = False) -> None:
        self.was_begun = begun
        self.environment = {"PATH": f"{path}:/usr/bin:/bin", "LC_ALL": "C", "HOME": "/nowhere"}

    def read(self, *argv, ok=(0,), **options):
        known = {key: value for key, value in options.items() if key in ("sudo", "timeout_s")}
        result = self.run(read(*argv, **known).argv)
        if ok is not None and result.exit_status not in ok:
            raise StepFailed(f"{argv}: {result.stderr}", where="here")
        return result

    def run(self, argv, given=None):
        done = subprocess.run(
            argv, input=given, capture_output=True, text=True, env=self.environment, timeout=120
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def carry_out(self, resource):
        """Send what it wants, until that is nothing; what was sent."""
        sent = []
        for change in resource.diff(resource.observe(self)).changes:
            call = change.call
            given = call.stdin.reveal() if isinstance(call.stdin, Secret) else call.stdin
            result = self.run(call.argv, given)
            assert result.ok, result.stderr
            sent.append(change.summary)
        assert resource.diff(resource.observe(self)).clean
        return sent

    def copy(self, access, backup, *paths):
        """What the unit of a backup does; the exit statuses."""
        lines = copies.commands(access, tags(LAB, backup), paths, ("*.iso",), KEEP)
        return [
            self.run(["sh", "-c", f"exec env {access.environment} {line}"]).exit_status
            for line in lines
        ]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture(scope="module")
def bucket():
    """An S3 endpoint with a bucket in it."""
    port = free_port()
    words = ["moto_server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until("moto answers", lambda: answers(f"http://127.0.0.1:{port}/"), 60.0)
            made = urllib.request.Request(f"http://127.0.0.1:{port}/homelab", method="PUT")
            urllib.request.urlopen(made, timeout=10).close()
            yield f"s3:http://127.0.0.1:{port}/homelab"
        finally:
            process.terminate()


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False


@contextmanager
def far_host(folder):
    """An sshd, and a folder with the `ssh` that knows it by our alias."""
    with separation_folder(), OpenSshd(folder, options=["Subsystem sftp internal-sftp"]) as server:
        config = folder / "ssh_config"
        config.write_text(
            f"Host homelab-second\n  HostName {server.address}\n  Port {server.port}\n"
            f"  IdentityFile {server.client_key}\n  IdentitiesOnly yes\n  BatchMode yes\n"
            f"  UserKnownHostsFile {server.known_hosts}\n  StrictHostKeyChecking yes\n"
        )
        bin_ = folder / "bin"
        bin_.mkdir()
        ssh = bin_ / "ssh"
        ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {config} "$@"\n')
        ssh.chmod(0o755)
        yield server, str(bin_)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where what lies on a machine lies in a test, and the files of an access to a repository."""
    monkeypatch.setattr(restic, "FOLDER", str(tmp_path / "restic"))
    monkeypatch.setattr(drills, "FOLDER", str(tmp_path / "drills"))
    (tmp_path / "restic").mkdir()

    def made(url, key=KEY, name="repository", login=LOGIN):
        access = Access(name)
        Path(access.place).write_text(f"{url}\n")
        Path(access.password).write_text(f"{key}\n")
        Path(access.credentials).write_text(
            f"[default]\naws_access_key_id = {login[0]}\naws_secret_access_key = {login[1]}\n"
        )
        return access

    return made


@pytest.fixture
def papers(tmp_path):
    """A folder of somebody's."""
    folder = tmp_path / "papers of mine"
    folder.mkdir()
    for name in ("letter", "photo [1].jpg", "ümläut & co", "*", "big.iso"):
        (folder / name).write_text(f"what is in {name}\n" * 500)
    return folder


def brought_back(access, files=3, **more):
    return RestoreDrill("here", "drill", access, LAB, "papers", files, 7, 86_400.0, **more)


@pytest.mark.parametrize("kind", ["folder", "s3", "sftp"])
def test_made_copied_brought_back(kind, place, papers, tmp_path, request):
    if kind == "sftp":
        _, bin_ = request.getfixturevalue("second")
        host, url = Here(bin_), f"sftp:homelab-second:{tmp_path}/far"
    else:
        folder = f"{tmp_path}/near"
        url = request.getfixturevalue("bucket") + "/one" if kind == "s3" else folder
        host = Here()
    access = place(url)
    repository = Repository("here", access, LAB)
    assert repository.observe(host) == {"is": "none"}
    assert host.carry_out(repository) == ["make the repository repository"]
    assert newest(host, access, tags(LAB, "papers"), time.time()) is None
    assert host.copy(access, "papers", str(papers)) == [0, 0]
    copy = newest(host, access, tags(LAB, "papers"), time.time())
    assert copy.paths == (str(papers),)
    assert repository.observe(host)["ours"]
    assert locks(host, access) == []
    drill = brought_back(access, files=10)
    assert host.carry_out(drill) == ["bring back 10 files of papers and compare them"]
    last = last_drill(host, "drill")
    assert (last.good, last.count("same"), last.copy) == (True, 4, copy.id)
    assert not any("big.iso" in path for path in last.files)
    assert sorted(p.name for p in (tmp_path / "drills").iterdir()) == ["drill"]
    for line in copies.check_commands(access, 50):
        said = host.run(["sh", "-c", f"exec env {access.environment} {line.replace('%%', '%')}"])
        assert said.ok, said.stderr


def test_one_whose_making_was_cut_off_is_not_made_twice(place, tmp_path):
    """Its key is written first, and then its config. What comes of it depends on the release."""
    host, again, near = Here(), Here(begun=True), tmp_path / "near"
    access = place(str(near))
    repository = Repository("here", access, LAB)
    host.carry_out(repository)
    (near / "config").unlink()  # cut off before this was written
    wants = repository.diff(repository.observe(again))
    if wants.waiting:  # restic before 0.17 would make a second key beside the first
        assert wants.changes == ()
        assert (
            f"delete what lies below keys/ at the place that {access.place} names" in wants.waiting
        )
        until_it_is_damaged(host, repository, near / "config")
        return
    [change] = wants.changes
    refused = host.run(change.call.argv)
    [(words, _)] = change.refusals
    assert words in refused.stderr


def until_it_is_damaged(host, repository, config):
    """By chance the first key is taken, or the second."""
    for _ in range(20):
        config.unlink(missing_ok=True)
        [change] = repository.diff(repository.observe(host)).changes
        assert host.run(change.call.argv).ok
        with suppress(StepFailed):
            repository.observe(host)
            continue
        break
    with pytest.raises(StepFailed) as damaged:
        repository.observe(host)
    assert "two keys lie below keys/" in damaged.value.fix


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    with far_host(tmp_path_factory.mktemp("far")) as made:
        yield made


def test_only_what_is_on_paper_is_used(place, papers, bucket, tmp_path):
    host, url = Here(), f"{bucket}/paper"
    access = place(url)
    host.carry_out(Repository("here", access, LAB))
    host.copy(access, "papers", str(papers))
    shutil.rmtree(tmp_path / "restic")  # the house has burnt down
    paper = Secret("paper", lambda: f"{KEY}\n{LOGIN[0]}\n{LOGIN[1]}\n")
    assert host.carry_out(brought_back(access, url=url, paper=paper))
    assert last_drill(host, "drill").good
    wrong = Secret("paper", lambda: f"another key\n{LOGIN[0]}\n{LOGIN[1]}\n")
    (tmp_path / "drills" / "drill").unlink()
    [change] = brought_back(access, url=url, paper=wrong).diff({"last": "none"}).changes
    said = host.run(change.call.argv, wrong.reveal())
    assert (said.exit_status, "wrong password" in said.stderr) == (1, True)
    assert not any(KEY in word or LOGIN[1] in word for word in change.call.argv)


def test_a_drill_that_fails_tells_the_file_and_leaves_nothing(place, papers, tmp_path):
    host, access = Here(), place(f"{tmp_path}/near")
    host.carry_out(Repository("here", access, LAB))
    host.copy(access, "papers", str(papers))
    letter = papers / "letter"
    times, text = letter.stat(), letter.read_text()
    letter.write_text(text.replace("what", "WHAT"))  # the disk has turned some bits
    os.utime(letter, ns=(times.st_atime_ns, times.st_mtime_ns))
    drill = brought_back(access, files=10)
    [change] = drill.diff(drill.observe(host)).changes
    said = host.run(change.call.argv)
    assert (said.exit_status, f"differs {letter}" in said.stderr) == (1, True)
    assert last_drill(host, "drill").files[str(letter)] == "differs"
    assert drill.observe(host)["last"] == "bad"
    assert sorted(p.name for p in (tmp_path / "drills").iterdir()) == ["drill"]


@pytest.mark.parametrize("torn", [False, True])
def test_a_file_for_which_there_is_no_room_is_read_all_the_same(place, papers, tmp_path, torn):
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "df").write_text("#!/bin/sh\necho head\necho /dev/sda1 100 100   0 100% /\n")
    (bin_ / "df").chmod(0o755)
    (papers / "large").write_bytes(os.urandom(200_000))
    host, access = Here(str(bin_)), place(f"{tmp_path}/near")
    host.carry_out(Repository("here", access, LAB))
    host.copy(access, "papers", str(papers))
    if torn:
        packs = [path for path in (tmp_path / "near" / "data").rglob("*") if path.is_file()]
        pack = max(packs, key=lambda path: path.stat().st_size)
        held = bytearray(pack.read_bytes())
        held[100_000:100_010] = bytes(10)
        pack.chmod(0o600)
        pack.write_bytes(held)
    drill = brought_back(access, files=10)
    [change] = drill.diff(drill.observe(host)).changes
    said = host.run(change.call.argv)
    words = set(last_drill(host, "drill").files.values())
    assert ("lost" in words, said.exit_status) == (torn, int(torn)), said.stderr
    assert torn or words == {"same"}
    assert sorted(p.name for p in (tmp_path / "drills").iterdir()) == ["drill"]


def test_a_pack_that_rotted_is_no_copy(place, papers, tmp_path):
    host, access = Here(), place(f"{tmp_path}/near")
    host.carry_out(Repository("here", access, LAB))
    host.copy(access, "papers", str(papers))
    for pack in (tmp_path / "near" / "data").glob("*/*"):
        held = bytearray(pack.read_bytes())
        held[10:20] = bytes(10)
        pack.chmod(0o600)
        pack.write_bytes(held)
    drill = brought_back(access, files=10)
    [change] = drill.diff(drill.observe(host)).changes
    assert host.run(change.call.argv).exit_status == 1
    assert not (tmp_path / "drills" / "drill.files").exists()


def test_somebody_elses_is_left_alone_and_what_cannot_be_looked_at_is_not_nothing(
    place, papers, bucket, tmp_path
):
    host = Here()
    theirs = place(f"{tmp_path}/near", key="their own key")
    assert host.run(theirs.words("init")).ok
    mine = place(f"{tmp_path}/near", name="mine")
    repository = Repository("here", mine, LAB)
    assert "our key does not open it" in repository.diff(repository.observe(host)).conflict
    host.run(theirs.words("backup", "--host", "neighbour", str(papers)))
    shared = Repository("here", theirs, LAB)
    assert "holds copies of neighbour" in shared.diff(shared.observe(host)).conflict
    assert Repository("here", theirs, LAB, shared=True).diff(shared.observe(host)).clean
    nowhere = place(bucket.replace("homelab", "nowhere"), name="nowhere")
    with pytest.raises(StepFailed, match="the bucket is not there"):
        Repository("here", nowhere, LAB).observe(host)
    nobody = place(f"s3:http://127.0.0.1:{free_port()}/homelab", name="nobody")
    with pytest.raises(StepFailed, match="can't look at its repository"):
        Repository("here", nobody, LAB).observe(host)


def test_a_far_host_with_another_key_is_refused(place, second, tmp_path):
    server, bin_ = second
    access = place(f"sftp:homelab-second:{tmp_path}/far")
    server.vouch(public(server.client_key))
    try:
        with pytest.raises(StepFailed, match="can't look at its repository"):
            Repository("here", access, LAB).observe(Here(bin_))
    finally:
        server.vouch()


def test_a_lock_is_seen_and_a_live_one_is_not_taken_away(place, papers, tmp_path):
    host, access = Here(), place(f"{tmp_path}/near")
    repository = Repository("here", access, LAB)
    host.carry_out(repository)
    host.copy(access, "papers", str(papers))
    words = [*access.words("backup", "--stdin")]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=host.environment
    ) as at_work:
        until("it has its lock", lambda: locks(host, access), 30.0)
        [held] = locks(host, access)
        assert (held.exclusive, held.stale) == (False, False)
        assert f"process {at_work.pid}" in held.holder
        assert repository.diff(repository.observe(host)).clean
        assert host.run(access.words("unlock")).ok
        assert locks(host, access), "restic leaves a live one alone"
        at_work.kill()
    assert locks(host, access), "half locked: whoever held it is gone"


@pytest.mark.skipif(
    not all(map(shutil.which, ("etcd", "etcdctl"))), reason="etcd (etcd-server, etcd-client)"
)
def test_etcd_is_brought_back_into_a_folder_and_a_torn_snapshot_is_not(place, tmp_path):
    host, access = Here(), place(f"{tmp_path}/near")
    folder = tmp_path / "server" / "db" / "snapshots"
    folder.mkdir(parents=True)
    snapshot = folder / "etcd-snapshot-server-1790000000"
    client, peer = free_port(), free_port()
    url = f"http://127.0.0.1:{client}"
    words = ["etcd", "--data-dir", str(tmp_path / "etcd"), "--listen-client-urls", url,
             "--advertise-client-urls", url, "--listen-peer-urls",
             f"http://127.0.0.1:{peer}"]  # fmt: skip
    host.environment["ETCDCTL_API"] = "3"
    told = ["etcdctl", "--endpoints", url]
    with subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=host.environment
    ) as process:
        try:
            until("etcd answers", lambda: host.run([*told, "put", "/registry/a", "b"]).ok, 30.0)
            assert host.run([*told, "snapshot", "save", str(snapshot)]).ok
        finally:
            process.terminate()
    host.carry_out(Repository("here", access, LAB))
    assert host.copy(access, "papers", str(folder)) == [0, 0]
    drill = brought_back(access, what="etcd")
    assert host.carry_out(drill) == ["bring back the newest etcd of papers and compare them"]
    assert last_drill(host, "drill").files == {str(snapshot): "same"}
    assert sorted(p.name for p in (tmp_path / "drills").iterdir()) == ["drill"]
    held = bytearray(snapshot.read_bytes())
    held[5000:5010] = b"0123456789"
    (folder / "etcd-snapshot-server-1790000001").write_bytes(held)
    assert host.copy(access, "papers", str(folder)) == [0, 0]
    (tmp_path / "drills" / "drill").unlink()
    [change] = drill.diff(drill.observe(host)).changes
    said = host.run(change.call.argv)
    assert (said.exit_status, "expected sha256" in said.stderr) == (1, True)
    assert last_drill(host, "drill").good is False
