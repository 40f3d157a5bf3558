"""A file of the first version: every key is said to have moved where, at its line, in one go."""

import re
import shutil

import pytest

from homelab_lib import paths
from homelab_lib.errors import LabError
from homelab_lib.lab import load_lab

MINIPC = paths.data() / "examples" / "minipc"

OLD = """\
pools:
  rpool: {host: mini, layout: stripe, disks: [nvme]}
  tank:
    host: mini
    layout: mirror
    disks: [hdd1, hdd2]
    phase: 1

datasets:
  tank/files: {host: mini, purpose: Files}

nfs_shares:
  files: {host: mini, dataset: tank/files, path: /tank/files, networks: [192.168.8.0/24]}

smb_shares:
  photos: {host: mini, dataset: tank/files, path: /tank/files}

storages:
  local: {host: mini, kind: dir, path: /var/lib/vz, content: [iso, import, snippets, backup]}
  local-zfs: {host: mini, kind: zfspool, pool: rpool/data, content: [images, rootdir]}

tiers:
  bulk: {title: Bulk, where: Disks, host: mini, pools: [tank], contents: [All]}

services:
  files: {title: Files, datasets: [tank/files]}

downloads:
  k3s: {url: "https://get.k3s.io", sha256: "DIGEST"}

clusters:
  k:
    version: v1.34.4+k3s1
    server: play
    installer: k3s
    dns_name: k3s.lan
    context: k
    storage_class:
      name: nfs
      share: files
      server_address: 192.168.8.10
      chart: {name: c, repo: "https://c", chart: c, version: "1", namespace: n}

decisions:
  - id: bigger
    title: Bigger
    reason: Because
    answers: [it]
    changes:
      - {path: pools.tank.purpose, value: Everything}
      - {path: clusters.k.server, value: play}

claims:
  - name: usable
    section: Storage
    quote: Much room
    check: all-of
    about:
      all:
        - {check: pool-survives, pool: tank, failures: 1}
        - {check: fact, path: pools.tank.layout, is: mirror}
"""

SAID = {
    "pools.rpool": "write pools.mini.rpool, and no host in it",
    "pools.tank": "write pools.mini.tank, and no host in it",
    "datasets.tank/files": "write datasets.mini.tank/files, and no host in it",
    "nfs_shares.files": "write nfs_shares.mini.files, and no host in it",
    "smb_shares.photos": "write smb_shares.mini.photos, and no host in it",
    "storages.local": "write storages.mini.local, and no host in it",
    "storages.local-zfs": "write storages.mini.local-zfs, and no host in it",
    "tiers.bulk.host": "a tier's machine is said with its pools now: write pools: [mini.tank]",
    "services.files.datasets.0": "write mini.tank/files",
    "clusters.k.server": "a cluster may have several servers now: write servers: [play]",
    "clusters.k.storage_class.share": "write mini.files",
    "decisions.bigger.changes.0.path": "write pools.mini.tank.purpose",
    "decisions.bigger.changes.1.path": "write clusters.k.servers.0",
    "claims.usable.about.all.0.pool": "write mini.tank",
    "claims.usable.about.all.1.path": "write pools.mini.tank.layout",
}


@pytest.fixture
def old(tmp_path):
    """The small lab as the first version had it, with something of everything that moved."""
    shutil.copytree(MINIPC / "catalog", tmp_path / "catalog")
    text = (MINIPC / "lab.yaml").read_text()
    start, end = text.index("pools:\n"), text.index("images:\n")
    rest = re.sub(r"(?ms)^(clusters|downloads):\n.*?(?=^\w|\Z)", "", text[end:])  # OLD has them
    text = text[:start] + OLD.replace("DIGEST", "0" * 64) + "\n" + rest
    (tmp_path / "lab.yaml").write_text(text)
    return tmp_path


def said(folder):
    with pytest.raises(LabError) as caught:
        load_lab(folder)
    return caught.value.problems


def test_every_key_that_moved_is_named_with_its_new_place(old):
    found = {}
    for problem in said(old):
        where, path, what = problem.split(": ", 2)
        line = int(where.rpartition(":")[2])
        found[path] = what
        key = path.rpartition(".")[2]
        if not key.isdecimal() and "/" not in key:
            assert key in (old / "lab.yaml").read_text().splitlines()[line - 1]
    assert found.keys() == SAID.keys()
    assert all(found[path].endswith(words) for path, words in SAID.items())


def test_what_else_is_wrong_is_said_in_the_same_go(old):
    file = old / "lab.yaml"
    text = file.read_text().replace("disks: [hdd1, hdd2]", "disks: [hdd1, hdd9]")
    file.write_text(text.replace("datasets: [tank/files]", "datasets: [tank/film]"))
    found = [problem.split(": ", 1)[1] for problem in said(old)]
    assert len(found) == len(SAID) + 1  # the service's dataset is no old name any more
    assert any(each.startswith("pools.mini.tank.disks.1: there is no disk") for each in found)
    assert any(each.startswith("services.files.datasets.0: ") for each in found)


def test_a_name_that_two_machines_have_is_not_guessed(old):
    """Which of the two is meant, only the person knows."""
    file = old / "lab.yaml"
    port = "ports: {lan: {part: i226-v-onboard}}"
    text = file.read_text().replace(
        "hosts:\n", f"hosts:\n  other: {{title: O, role: O, os: {{kind: truenas}}, {port}}}\n", 1
    )
    text = text.replace("datasets:\n", "datasets:\n  other: {tank/files: {purpose: x}}\n", 1)
    file.write_text(text)
    found = [problem.split(": ", 1)[1] for problem in said(old)]
    [about] = [each for each in found if each.startswith("services.files.datasets.0: ")]
    assert "now: write" not in about


def test_a_file_of_today_is_left_as_it_is():
    assert load_lab(MINIPC).pools["mini"].keys() == {"rpool", "tank"}
    assert load_lab().clusters["homelab"].servers == ("k3s-control",)
