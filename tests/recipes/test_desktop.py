"""Tools in a user's own folders: pinned, checked, replaced only where they are ours."""

import shutil

import pytest

from homelab_lib import paths
from homelab_lib.errors import BadParameter, LabError
from homelab_lib.lab import load_lab
from homelab_lib.recipes.hardware import desktop
from recipes.bench import Bench

LAB = load_lab()
HELM = "/home/homelab/.local/bin/helm"


@pytest.fixture
def bench():
    return Bench(LAB, desktop.steps(LAB, 1))


def newer(lab):
    """The lab with another release of Helm."""
    other = lab.downloads["helm"].model_copy(update={"sha256": "ab" * 32, "version": "v4"})
    return lab.model_copy(update={"downloads": lab.downloads | {"helm": other}})


def test_installed_once_with_the_users_own_rights(bench):
    assert bench.stops() == ("", "")
    desk = bench.world.machines["desktop"]
    entry = desk.files.entry(HELM)
    assert (entry.user, entry.mode) == ("homelab", 0o755)
    assert entry.data == b"# linux-amd64/helm of helm v3.20.0\n"
    assert {"git", "jq", "tmux"} <= desk.packages.keys()
    assert not any("sudo" in line for line in bench.wire.sent if "helm" in line)
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.wire.sent == []
    assert bench.step("tools", "verify").status == "already"


def test_a_new_release_replaces_ours(bench):
    assert bench.stops() == ("", "")
    lab = newer(LAB)
    bench.steps = tuple(desktop.steps(lab, 1))
    bench.world.lab = lab
    site = bench.world.site[lab.downloads["helm"].url]
    site.digest = "ab" * 32
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.world.machines["desktop"].files.entry(HELM).data.endswith(b"helm v4\n")
    assert len(bench.wire.sent) == 1


def test_what_somebody_else_put_there_stays(bench):
    desk = bench.world.machines["desktop"]
    desk.run("mkdir -p .local/bin; echo mine > .local/bin/helm; chmod 755 .local/bin/helm")
    where, said = bench.stops()
    assert where == "tools"
    assert "was not put there by lab homelab" in said
    assert desk.files.entry(HELM).data == b"mine\n"


def test_what_was_changed_by_hand_is_not_ours_any_more(bench):
    assert bench.stops() == ("", "")
    desk = bench.world.machines["desktop"]
    desk.run("echo patched > .local/bin/helm")
    assert bench.stops()[0] == "tools"
    assert desk.files.entry(HELM).data == b"patched\n"


def test_a_release_with_another_digest_is_not_installed(bench):
    bench.world.site[LAB.downloads["helm"].url].digest = "cd" * 32
    where, _ = bench.stops()
    assert where == "tools"
    desk = bench.world.machines["desktop"]
    assert not desk.files.exists(HELM)
    left = desk.run("ls -A .local/bin").out.decode()
    assert "homelab-" not in left, "nothing half done is left"


def test_a_key_is_made_by_whoever_uses_it(bench):
    step = next(s for s in bench.steps if s.name == "key")
    told = step.manual.verify(bench.engine().context)
    assert not told.holds
    desk = bench.world.machines["desktop"]
    desk.run("mkdir -p .ssh; echo ssh-ed25519 AAAA > .ssh/id_ed25519.pub")
    assert step.manual.verify(bench.engine().context).holds


def test_a_host_that_nobody_logs_in_to_gets_none():
    pi = LAB.hosts["pi5"].model_copy(update={"phase": 1, "tools": ("helm",)})
    lab = LAB.model_copy(update={"hosts": LAB.hosts | {"pi5": pi}})
    with pytest.raises(BadParameter, match="pi5 is to get tools"):
        list(desktop.steps(lab, 1))


def test_a_tool_that_is_no_download_is_refused_with_its_line(tmp_path):
    shutil.copytree(paths.data(), tmp_path / "lab")
    file = tmp_path / "lab" / "hosts.yaml"
    file.write_text(file.read_text().replace("tools: [helm, k9s]", "tools: [helm, k9ss]"))
    with pytest.raises(LabError, match=r"hosts.yaml:\d+.*no download 'k9ss'") as told:
        load_lab(str(tmp_path / "lab"))
    assert "k9s" in str(told.value)
