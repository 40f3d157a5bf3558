"""Plain Linux resources, by the engine, on a real machine: OpenSSH, a real shell, real files."""

import dataclasses
import functools
import grp
import hashlib
import io
import os
import pwd
import shutil
import subprocess
import tarfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homelab_lib.control import kubeconfig
from homelab_lib.control.linux import Download, Packages, Sysctl, login
from homelab_lib.control.linux import File as AnyFile
from homelab_lib.control.linux.accounts import Account
from homelab_lib.control.linux.placing import LEDGER
from homelab_lib.control.linux.tools import Tool
from homelab_lib.errors import StepFailed
from homelab_lib.runbook.engine import Engine
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.sender import Sender
from homelab_lib.runbook.step import Runbook, Step
from homelab_lib.secret import Mask, Secret
from homelab_lib.transport.fleet import Fleet
from real.opensshd import public
from real.users import NO_PASSWORD, user, why_no_users

pytestmark = pytest.mark.real

LAB = "homelab-tests"

HOSTILE = ["it's", 'say "hi"', "$(touch /tmp/pwned)", "`id`", "a b", "new\nline", "-rf", "ünïcödé",
           "semi;colon", "star*", "back\\slash", "%s", "#not-a-comment", "a && b"]  # fmt: skip


class WallClock:
    now = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)


File = functools.partial(AnyFile, lab=LAB)


@pytest.fixture(autouse=True, scope="module")
def _ledger():
    """What these tests write is not listed as ours when they are over."""
    ledger = Path(LEDGER)
    before = ledger.read_bytes() if ledger.exists() else None
    yield
    if before is not None:
        ledger.write_bytes(before)
    else:
        ledger.unlink(missing_ok=True)


def engine_of(fleet, step, mask):
    sender = Sender(fleet, WallClock(), Journal(None, mask=mask, wall=lambda: "now"), mask)
    return Engine(
        Runbook("r", "R", (step,)), "apply", sender, trust=lambda *_: None, seal=str
    ), sender


@pytest.fixture(scope="module")
def carry_out(nas):
    """Brings resources about on the host, and gives back how many changes it took."""
    with Fleet({"nas": nas.endpoint()}, allow_changes=True) as fleet:

        def run(*resources, mask=None):
            step = Step("s", "S", ensure=lambda ctx: iter(resources))
            engine, sender = engine_of(fleet, step, mask or Mask())
            engine.run_step("s")
            return len(sender.sent)

        yield run


def owner() -> str:
    return f"{pwd.getpwuid(os.getuid()).pw_name}:{grp.getgrgid(os.getgid()).gr_name}"


def test_a_file_is_written_once(carry_out, tmp_path):
    file = File("nas", str(tmp_path / "new" / "a.conf"), "text\n", mode="640", owner=owner())
    assert carry_out(file) == 1
    assert carry_out(file) == 0
    assert (tmp_path / "new" / "a.conf").read_text() == "text\n"
    assert (tmp_path / "new" / "a.conf").stat().st_mode & 0o777 == 0o640
    assert [f.name for f in (tmp_path / "new").iterdir()] == ["a.conf"], "nothing is left beside it"


def test_another_content_or_mode_is_put_right(carry_out, tmp_path):
    path = tmp_path / "a"
    carry_out(File("nas", str(path), "old", owner=owner()))
    assert carry_out(File("nas", str(path), "new", owner=owner())) == 1
    path.chmod(0o600)
    assert carry_out(File("nas", str(path), "new", owner=owner())) == 1
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o644)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_only_a_name(carry_out, tmp_path, name):
    assert carry_out(File("nas", f"{tmp_path}/{name}", name, owner=owner())) == 1
    assert carry_out(File("nas", f"{tmp_path}/{name}", name, owner=owner())) == 0
    assert (tmp_path / name).read_text() == name
    assert len(list(tmp_path.iterdir())) == 1


@settings(max_examples=15, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(
    name=st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1,
                 max_size=40).filter(lambda n: n not in (".", "..") and len(n.encode()) < 100),
    content=st.text(st.characters(exclude_categories=["Cs"]), max_size=200),
)  # fmt: skip
def test_any_name_and_any_content(carry_out, tmp_path, name, content):
    file = File("nas", f"{tmp_path}/{name}", content, owner=owner())
    carry_out(file)
    assert carry_out(file) == 0
    assert (tmp_path / name).read_bytes() == content.encode()


def test_a_folder_in_the_way_is_left_alone(carry_out, tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(StepFailed, match="is a directory, and should be a file"):
        carry_out(File("nas", str(tmp_path / "a"), "x", owner=owner()))


def test_a_secret_is_in_the_file_and_nowhere_else(carry_out, tmp_path):
    mask = Mask()
    secret = Secret("the token", lambda: "hunter2-hunter2")
    file = File("nas", str(tmp_path / "t"), secret, mode="600", owner=owner())
    assert carry_out(file, mask=mask) == 1
    assert (tmp_path / "t").read_text() == "hunter2-hunter2"
    assert mask("x hunter2-hunter2") != "x hunter2-hunter2"


def test_a_download_is_checked_before_it_is_put_in_place(carry_out, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"installer")
    target = str(tmp_path / "target")
    good = hashlib.sha256(b"installer").hexdigest()
    with pytest.raises(StepFailed, match=r"did NOT match|FAILED"):
        carry_out(Download("nas", target, f"file://{source}", "0" * 64, lab=LAB))
    assert not (tmp_path / "target").exists()
    wanted = Download("nas", target, f"file://{source}", good, mode="755", lab=LAB)
    assert carry_out(wanted) == 1
    assert carry_out(wanted) == 0
    assert (tmp_path / "target").stat().st_mode & 0o777 == 0o755


def test_what_is_installed_needs_no_change(carry_out):
    if not os.path.exists("/usr/bin/dpkg-query"):
        pytest.skip("this machine has no dpkg")
    assert carry_out(Packages("nas", ("dpkg",))) == 0


def test_a_setting_that_the_kernel_does_not_have(carry_out):
    with pytest.raises(StepFailed, match="has no setting"):
        carry_out(Sysctl("nas", "homelab.no_such_setting", "1", lab=LAB))


# A user who logs in and may use sudo --------------------------------------------------------------


class Desk:
    """Somebody's desktop: the account that logs in, and what carries resources out there."""

    def __init__(self, fleet, user, home):
        self.fleet, self.user, self.home = fleet, user, home

    def run(self, *resources):
        return self.ensure(lambda ctx: iter(resources))

    def ensure(self, wanted):
        engine, sender = engine_of(self.fleet, Step("s", "S", ensure=wanted), Mask())
        engine.run_step("s")
        return len(sender.sent)

    def file(self, path, content="new\n", **more):
        given = {"mode": "600", "owner": f"{self.user}:{self.user}"} | more
        return File("desk", str(path), content, **given)

    def as_user(self, *words):
        words = ["runuser", "-u", self.user, "--", *words]
        return subprocess.run(words, capture_output=True, text=True, check=False)


@contextmanager
def desk_of(nas, **account):
    if why_no_users():
        pytest.skip(why_no_users())
    if shutil.which("sudo") is None:
        pytest.skip("this machine has no sudo")
    with (
        user("d", public(nas.client_key), sudo=NO_PASSWORD, **account) as name,
        Fleet({"desk": nas.endpoint(user=name)}, allow_changes=True) as fleet,
    ):
        yield Desk(fleet, name, Path(pwd.getpwnam(name).pw_dir))


@pytest.fixture
def desk(nas):
    with desk_of(nas) as made:
        yield made


@pytest.fixture
def open_path(tmp_path):
    """A folder to which everybody gets."""
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    return tmp_path


def test_what_is_made_in_a_users_home_is_the_users(desk):
    secret = Secret("the config", lambda: "token: hunter2\n")
    assert desk.run(desk.file(desk.home / ".kube/config", secret)) == 1
    assert desk.as_user("cat", str(desk.home / ".kube/config")).stdout == "token: hunter2\n"
    assert (desk.home / ".kube").owner() == desk.user
    assert (desk.home / ".kube").stat().st_mode & 0o777 == 0o700
    assert desk.run(desk.file(desk.home / ".kube/config", secret)) == 0


def test_a_users_link_leads_nowhere_that_the_user_may_not_write(desk):
    (desk.home / ".kube").symlink_to("/etc")
    with pytest.raises(StepFailed, match="Permission denied"):
        desk.run(desk.file(desk.home / ".kube/homelab-test-config"))
    assert not Path("/etc/homelab-test-config").exists()


def test_a_users_link_to_a_folder_of_root_in_the_place_of_the_new_file(desk, tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "victim").mkdir(mode=0o700)
    desk.as_user("mkdir", str(desk.home / ".kube"))
    desk.as_user("ln", "-s", str(tmp_path / "victim"), str(desk.home / ".kube/config.homelab-new"))
    assert desk.run(desk.file(desk.home / ".kube/config")) == 1
    assert not list((tmp_path / "victim").iterdir())
    assert (desk.home / ".kube/config").read_text() == "new\n"


def test_root_writes_nothing_of_its_own_into_a_users_folder(desk):
    with pytest.raises(StepFailed, match="could lead it anywhere"):
        desk.run(desk.file(desk.home / "motd", owner="root:root"))


def test_a_users_link_on_the_way_is_not_followed_by_root(desk, tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "way").symlink_to("/etc")
    os.lchown(tmp_path / "way", pwd.getpwnam(desk.user).pw_uid, -1)
    with pytest.raises(StepFailed, match="is a link that"):
        desk.run(desk.file(tmp_path / "way/homelab-test", owner="root:root"))
    assert not Path("/etc/homelab-test").exists()


def test_a_service_account_gets_a_folder_that_it_can_use(desk, open_path):
    """Of a file that root writes for somebody, the new folder is that somebody's, too."""
    assert desk.run(desk.file(open_path / "app/key")) == 1
    assert desk.as_user("cat", str(open_path / "app/key")).stdout == "new\n"


def released(folder, name, text):
    """A release as its makers publish it: an archive, and its digest."""
    path = folder / name
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo("linux-amd64/helm")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    path.chmod(0o644)
    return f"file://{path}", hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_tool_is_the_users_own_and_replaced_where_it_is_ours(desk, open_path):
    account = Account(desk.user, desk.user, str(desk.home))
    program = desk.home / ".local/bin/helm"

    def tool(url, sha256):
        member = "linux-amd64/helm"
        return Tool("desk", "helm", account, url, sha256, member, lab=LAB)

    old = tool(*released(open_path, "old.tar.gz", b"#!/bin/sh\necho old\n"))
    new = tool(*released(open_path, "new.tar.gz", b"#!/bin/sh\necho new\n"))
    with pytest.raises(StepFailed, match=r"did NOT match|FAILED"):
        desk.run(dataclasses.replace(old, sha256="0" * 64))
    assert (desk.run(old), desk.run(old)) == (1, 0)
    assert desk.as_user(str(program)).stdout == "old\n"
    assert (program.owner(), program.stat().st_mode & 0o777) == (desk.user, 0o755)
    assert (desk.run(new), desk.run(new)) == (1, 0)
    assert desk.as_user(str(program)).stdout == "new\n"
    assert [f.name for f in program.parent.iterdir()] == ["helm"], "nothing is left beside it"
    program.write_text("mine\n")
    with pytest.raises(StepFailed, match="was not put there by lab"):
        desk.run(old)
    assert program.read_text() == "mine\n"


def test_a_kubeconfig_of_one_whose_home_and_group_are_others(nas, open_path):
    entries = {
        room: {"name": "c", kind: {"server": "https://192.0.2.1:6443"}}
        for room, kind in (("clusters", "cluster"), ("users", "user"), ("contexts", "context"))
    }

    def wanted(ctx):
        account = login(ctx.host("desk"))
        path = f"{account.home}/.kube/config"
        yield kubeconfig.file(ctx.host("desk"), path, account, lambda: entries, "c", lab=LAB)

    with desk_of(nas, home=open_path / "lars", group="users") as desk:
        assert desk.ensure(wanted) == 1
        assert desk.ensure(wanted) == 0
        written = open_path / "lars/.kube/config"
        assert (written.owner(), written.group()) == (desk.user, "users")
        assert "https://192.0.2.1:6443" in desk.as_user("cat", str(written)).stdout
