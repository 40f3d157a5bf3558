"""What a call rests on: told by its words, its host's release, and its weakest part."""

import shutil
from collections import Counter
from contextlib import closing

import pytest

from contract.table import README, page
from homelab_lib import paths
from homelab_lib.errors import UnknownRelease
from homelab_lib.lab.releases import KNOWN, is_known, series_of
from homelab_lib.session import run as session
from homelab_lib.twin.fidelity import Fidelity, Grounds, Shelf, rests_on
from homelab_lib.twin.kubernetes import kubectl as kubernetes
from homelab_lib.twin.kubernetes.grounds import GROUNDS as KUBERNETES
from homelab_lib.twin.machine.called import called

NODE = Shelf(
    "proxmox",
    (
        Grounds("qm", Fidelity.GUESSED, "nobody looked"),
        Grounds("qm create", Fidelity.SOURCE, "read"),
        Grounds("qm create", Fidelity.VALIDATOR, "its parser", releases=("9.2",)),
        Grounds("pvesh create /nodes/{node}/qemu", Fidelity.VALIDATOR, "its schema"),
        Grounds("POST /api2/json/nodes/{node}/qemu", Fidelity.SOURCE, "its schema"),
    ),
    version_on=lambda machine: machine,
)
UNIX = Shelf(
    "",
    (
        *(Grounds(name, Fidelity.RECORDED, "run beside") for name in ("mv", "chmod", "[")),
        Grounds("sync", Fidelity.DOCUMENTATION, "its manual"),
    ),
)


@pytest.mark.parametrize(
    ("line", "version", "rests"),
    [
        ("qm create 201 --name clone", "9.2.11", "validator"),
        ("qm create 201 --name clone", "9.1.4", "source"),
        ("qm clone 201 202", "9.2.11", "guessed"),
        ("pvesh create /nodes/pve/qemu --vmid 201", "9.2.11", "validator"),
        ("pvesh create /nodes/pve/qemu/201/agent --x 1", "9.2.11", "guessed"),
        ('POST https://127.0.0.1:8006/api2/json/nodes/pve/qemu {"vmid": 1}', "9.1", "source"),
        ("mv -f -- a b", "", "recorded"),
        ("env LC_ALL=C mv a=b c", "", "recorded"),
        ('sh -c \'mv "$1" "$2" && chmod 600 "$2"\' sh a b', "", "recorded"),
        ("sh -c 'if [ -e a ]; then mv a b; sync; fi' sh", "", "documentation"),
        ("sh -c 'put() { mv a b; }; put' sh", "", "recorded"),
        ("sh -c 'mv a b; frobnicate'", "", "guessed"),
        ("sh -c '\"$@\"; ' sh runuser -u me -- sh -c 'chmod 600 a; sync' sh", "", "documentation"),
        ("sh -c 'mv a b; fi'", "", "guessed"),
    ],
)
def test_a_call_rests_on_the_weakest_of_what_it_runs(line, version, rests):
    assert rests_on([NODE, UNIX], version, line) == rests


def test_the_programs_of_a_script_are_those_that_a_shell_would_run():
    script = "for f in a b; do case $f in a) rm a;; *) (cat b | sha256sum);; esac; done"
    assert [words[0] for words in called(["sh", "-c", script])] == ["rm", "cat", "sha256sum"]


@pytest.mark.parametrize(
    ("product", "version", "name", "known"),
    [
        ("truenas", "TrueNAS-25.10.1", "25.10", True),
        ("truenas", "TrueNAS-SCALE-25.04.2.6", "25.04", True),
        ("truenas", "26.0.0-BETA.3", "26.0", True),
        ("truenas", "31.4", "31.4", False),
        ("proxmox", "pve-manager/9.1.4/5ac30304265fbd8e", "9.1", True),
        ("proxmox", "9.10", "9.10", False),
        ("proxmox", "12.7", "12.7", False),
        ("k3s", "v1.37.0-rc1+k3s1", "1.37", True),
        ("k3s", "v1.99.0+k3s1", "1.99", False),
        ("k3s", "unstable", "unstable", False),
    ],
)
def test_a_release_is_its_series(product, version, name, known):
    series = series_of(product, version)
    assert (series.name, is_known(series)) == (name, known)


def test_a_beta_is_known_and_warned_of():
    assert [str(series) for series in KNOWN if series.warns] == ["truenas 26.0"]


def test_an_unknown_release_stops_a_plan_unless_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMELAB_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HOMELAB_REPORTS", str(tmp_path / "reports"))
    lab = tmp_path / "lab"
    shutil.copytree(paths.data(), lab)
    hosts = lab / "hosts.yaml"
    hosts.write_text(
        hosts.read_text().replace('kind: proxmox, version: "9.1"', 'kind: proxmox, version: "12.7"')
    )
    options = {"lab": str(lab), "mode": "plan", "only": "room"}
    with closing(session.begin("phase2", **options)) as run, pytest.raises(UnknownRelease) as told:
        run.plan()
    assert "proxmox 12.7" in str(told.value)
    with closing(session.begin("phase2", **options, unknown_releases="proxmox 12.7")) as run:
        assert "NOT KNOWN to the twin: proxmox 12.7" in run.plan().text


def test_the_page_says_what_the_tables_say():
    def without_counts(text):
        return [line.rpartition("| ")[0] if line.startswith("|") else line for line in text]

    written = README.read_text().splitlines()
    assert without_counts(written) == without_counts(page(Counter()).splitlines()), "make fidelity"


@pytest.mark.parametrize("verb", kubernetes.VERBS)
def test_every_verb_of_kubectl_has_grounds(verb):
    shelf = Shelf("k3s", KUBERNETES)
    for line in (f"k3s kubectl {verb} -f -", f"kubectl --context=lab {verb} x"):
        assert rests_on([shelf], None, line) != Fidelity.GUESSED
