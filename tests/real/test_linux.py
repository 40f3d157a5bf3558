"""Plain Linux resources, by the engine, on a real machine: OpenSSH, a real shell, real files."""

import hashlib
import os
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homelab_lib.control.linux import Download, File, Packages, Sysctl
from homelab_lib.errors import StepFailed
from homelab_lib.runbook.engine import Engine
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.sender import Sender
from homelab_lib.runbook.step import Runbook, Step
from homelab_lib.secret import Mask, Secret
from homelab_lib.transport.fleet import Fleet

pytestmark = pytest.mark.real

HOSTILE = ["it's", 'say "hi"', "$(touch /tmp/pwned)", "`id`", "a b", "new\nline", "-rf", "ünïcödé",
           "semi;colon", "star*", "back\\slash", "%s", "#not-a-comment", "a && b"]  # fmt: skip


class WallClock:
    now = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)


@pytest.fixture(scope="module")
def carry_out(nas):
    """Brings resources about on the host, and gives back how many changes it took."""
    with Fleet({"nas": nas.endpoint()}, allow_changes=True) as fleet:

        def run(*resources, mask=None):
            masked = mask or Mask()
            sender = Sender(
                fleet, WallClock(), Journal(None, mask=masked, wall=lambda: "now"), masked
            )
            step = Step("s", "S", ensure=lambda ctx: iter(resources))
            engine = Engine(Runbook("r", "R", (step,)), "apply", sender, trust=lambda *_: None)
            engine.run_step("s")
            return len(sender.sent)

        yield run


def owner() -> str:
    import grp
    import pwd

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
        carry_out(Download("nas", target, f"file://{source}", "0" * 64))
    assert not (tmp_path / "target").exists()
    wanted = Download("nas", target, f"file://{source}", good, mode="755")
    assert carry_out(wanted) == 1
    assert carry_out(wanted) == 0
    assert (tmp_path / "target").stat().st_mode & 0o777 == 0o755


def test_what_is_installed_needs_no_change(carry_out):
    if not os.path.exists("/usr/bin/dpkg-query"):
        pytest.skip("this machine has no dpkg")
    assert carry_out(Packages("nas", ("dpkg",))) == 0


def test_a_setting_that_the_kernel_does_not_have(carry_out):
    with pytest.raises(StepFailed, match="has no setting"):
        carry_out(Sysctl("nas", "homelab.no_such_setting", "1"))
