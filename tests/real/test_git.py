"""Files in a repository by the real Git: one commit, ours alone, and none when none is due."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from homelab_lib.control.linux.git import GitFolder, blob
from homelab_lib.secret import Secret
from homelab_lib.transport.command import Result
from homelab_lib.transport.quoting import join

pytestmark = pytest.mark.real
FOLDER = "clusters/one"


class Here:
    """This machine, as a resource looks at it."""

    name = "here"

    def read(self, *argv, ok=(0,), **options):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert ok is None or done.returncode in ok, done.stderr
        return Result(done.returncode, done.stdout, done.stderr)


def send(call):
    text = call.stdin.reveal() if isinstance(call.stdin, Secret) else call.stdin or ""
    done = subprocess.run(call.argv, input=text.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def folder(tmp_path):
    if shutil.which("git") is None:
        pytest.skip("this machine has no git (package git)")
    files = {"README.md": "# One\n\nwith an empty line\n", "a.yaml": "grüße: ja\n"}
    return GitFolder("here", str(tmp_path / "r.git"), "main", FOLDER, files, "mine")


def applied(folder):
    changes = folder.diff(folder.observe(Here())).changes
    for each in changes:
        send(each.call)
    return len(changes)


def git(folder, *words):
    return Here().read("git", "--git-dir", folder.path, *words).stdout


def test_it_comes_to_be_and_then_stays(folder):
    assert applied(folder) == 2
    assert applied(folder) == 0
    for name, text in folder.files.items():
        assert git(folder, "show", f"main:{FOLDER}/{name}") == text
    assert git(folder, "fsck", "--strict") == ""


def test_who_reads_it_by_ssh_may_for_it_is_his(folder):
    """Git refuses what is another's; and after each commit all of it has to be his."""
    if os.geteuid():
        pytest.skip("only root gives files away")
    for above in Path(folder.path).parents:
        if above.stat().st_mode & 0o005 != 0o005:
            above.chmod(above.stat().st_mode | 0o055)  # pytest keeps its folders to itself

    def fetched():
        words = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        env = {"HOME": "/nonexistent", "PATH": "/usr/bin:/bin"}
        words += ["git-upload-pack", folder.path]
        return subprocess.run(words, input=b"0000", capture_output=True, check=False, env=env)

    assert applied(folder) == 2
    refused = fetched()
    assert refused.returncode == 128
    assert b"detected dubious ownership" in refused.stderr
    his = replace(folder, owner="nobody:nogroup")
    assert applied(his) == 1
    assert fetched().returncode == 0
    assert applied(his) == 0
    assert applied(replace(his, files={"a.yaml": "grüße: nein\n"})) == 2
    assert fetched().returncode == 0
    left = [each for each in Path(folder.path).rglob("*") if each.owner() != "nobody"]
    assert left == []


def test_the_name_of_a_file_is_gits_own(folder):
    text = "line\nand no newline at its end"
    done = subprocess.run(
        ["git", "hash-object", "--stdin"], input=text.encode(), capture_output=True, check=True
    )
    assert blob(text) == done.stdout.decode().strip()


def test_what_is_no_more_goes_and_what_others_keep_stays(folder, tmp_path):
    applied(folder)
    clone = tmp_path / "clone"
    me = ("-c", "user.name=Me", "-c", "user.email=me@example.org")
    subprocess.run(["git", "clone", "-q", folder.path, clone], check=True)
    (clone / "notes.md").write_text("buy milk\n")
    for words in (("add", "-A"), ("commit", "-qm", "notes"), ("push", "-q")):
        subprocess.run(["git", "-C", clone, *me, *words], check=True)
    less = replace(folder, files={"a.yaml": "grüße: nein\n"})
    assert applied(less) == 1
    listed = git(folder, "ls-tree", "-r", "--name-only", "main").split()
    assert listed == [f"{FOLDER}/a.yaml", "notes.md"]
    assert git(folder, "rev-list", "--count", "main").strip() == "3"


def test_a_commit_of_somebody_else_in_it_is_not_written_over(folder, tmp_path):
    applied(folder)
    clone = tmp_path / "clone"
    me = ("-c", "user.name=Me", "-c", "user.email=me@example.org")
    subprocess.run(["git", "clone", "-q", folder.path, clone], check=True)
    (clone / FOLDER / "a.yaml").write_text("mine: yes\n")
    subprocess.run(["git", "-C", clone, *me, "commit", "-qam", "mine"], check=True)
    subprocess.run(["git", "-C", clone, "push", "-q"], check=True)
    found = folder.diff(folder.observe(Here()))
    assert found.conflict.startswith("Me has changed")
    assert found.changes == ()


def test_a_stream_that_is_cut_leaves_the_branch_as_it_was(folder):
    applied(folder)
    head = git(folder, "rev-parse", "main")
    other = replace(folder, files={"a.yaml": "x: " + "y" * 5000 + "\n"})
    [change] = other.diff(other.observe(Here())).changes
    done = subprocess.run(
        change.call.argv, input=change.call.stdin.encode()[:-2000], capture_output=True, check=False
    )
    assert done.returncode != 0, join(change.call.argv)
    assert git(folder, "rev-parse", "main") == head
    assert applied(other) == 1
