"""Phase 2 from end to end over SSH, on a lab that isn't there."""

import copy
import json
import shutil
from pathlib import Path

import pytest
import yaml

from homelab_lib import paths
from homelab_lib.errors import (
    ApprovalMissing,
    AuthenticationRefused,
    BadParameter,
    Drift,
    HostKeyRefused,
    Locked,
    PlanStale,
    StepFailed,
)
from homelab_lib.runbook import lock
from homelab_lib.runbook.proof import check
from homelab_lib.transport.fleet import Fleet
from standing import served
from standing import standing as serve_standing

STEPS = ("room", "image", "machines", "share", "server", "agents", "storage", "volume",
         "workloads", "desktop")  # fmt: skip


@pytest.fixture(scope="module")
def phase2_done(tmp_path_factory):
    """The lab after its phase 2, the run that did it, and what its desktop had before."""
    folder = tmp_path_factory.mktemp("done") / "lab"
    with served(folder) as there, pytest.MonkeyPatch.context() as patch:
        there.surround(patch)
        before = copy.deepcopy(there.world.machines["desktop"].files)
        found = there.world.state()
        planned = there.run("plan")
        assert planned.error is None
        assert planned.changes > 30
        assert there.world.state() == found, "a plan changed something"
        applied = there.run("apply", planned.digest)
        assert applied.error is None
        assert applied.sent == planned.changes, "what was sent is what was planned"
        assert list(check(applied.record)) == []
        applied.digest = planned.digest
        patch.undo()
        yield there, applied, before


@pytest.fixture
def done(phase2_done, monkeypatch):
    """The lab after its phase 2; what a test changes there it puts back."""
    there, *_ = phase2_done
    there.surround(monkeypatch)
    return there


@pytest.fixture
def client(done, phase2_done):
    """The same, but for its desktop, which is as it was before; and then as it is now."""
    desktop = done.world.machines["desktop"]
    kept = {name: getattr(desktop, name) for name in ("files", "accounts", "packages")}
    for name, value in kept.items():
        setattr(desktop, name, copy.deepcopy(value))
    *_, before = phase2_done
    desktop.files = copy.deepcopy(before)
    yield desktop
    for name, value in kept.items():
        setattr(desktop, name, value)


def test_plan_apply_apply_again_verify(done, phase2_done):
    _, applied, _ = phase2_done  # planned and carried out there
    again = done.run("apply", applied.digest)
    assert (again.error, again.sent) == (None, 0)
    verified = done.run("verify")
    assert (verified.error, verified.sent) == (None, 0)
    assert done.run("plan").changes == 0


def test_a_plan_is_the_same_one_each_time(standing):
    digests = {standing.planned(only="room,image,share") for _ in range(2)}
    assert len(digests) == 1


def test_the_cluster_is_there_and_serves(done):
    desktop = done.world.machines["desktop"]
    page = desktop.run("curl -sS -H 'Host: whoami.home.arpa' http://10.0.30.21/").out
    assert b"Hostname: whoami-" in page
    nodes = json.loads(desktop.run("kubectl get nodes -o json").out)["items"]
    assert [node["metadata"]["name"] for node in nodes] == ["k3s-control", "k3s-gpu1", "k3s-gpu2"]
    nas = done.world.machines["truenas"]
    assert nas.files.exists("/mnt/tank/k3s/homelab-test/volume-test/probe")


def test_without_approval_apply_stops_after_the_plan(standing):
    before = standing.world.state()
    ran = standing.run("apply", only="room,image,machines,share")
    assert isinstance(ran.error, ApprovalMissing)
    assert ran.sent == 0
    assert standing.world.state() == before


def test_a_digest_that_nobody_planned_is_refused(standing):
    ran = standing.run("apply", "p000000000000", only="share")
    assert isinstance(ran.error, BadParameter | PlanStale)
    assert ran.sent == 0


def test_a_plan_that_no_longer_fits_is_refused(standing):
    digest = standing.planned(only="share")
    standing.world.machines["truenas"].run(
        """midclt call pool.dataset.create '{"name":"tank/k3s","share_type":"NFS"}'"""
    )
    before = standing.world.state()
    ran = standing.run("apply", digest, only="share")
    assert isinstance(ran.error, PlanStale)
    assert standing.world.state() == before


def test_a_foreign_vm_is_left_alone(standing):
    node = standing.world.machines["proxmox"]
    node.run("qm create 202 --name photos --memory 2048 --net0 virtio,bridge=vmbr0").finished()
    ran = standing.run("plan")
    assert isinstance(ran.error, StepFailed)
    assert "VMID 202 is taken by 'photos'" in str(ran.error)


def test_a_host_that_is_off_is_named(standing):
    standing.world.machines["truenas"].power_off()
    ran = standing.run("plan")
    assert isinstance(ran.error, StepFailed)
    assert "truenas" in str(ran.error)


@pytest.mark.parametrize("mode", ["plan", "verify"])
def test_a_host_with_another_key_is_refused(standing, mode):
    hosts = standing.config.parent / "known_hosts"
    lines = hosts.read_text().splitlines()
    keys = [line.split()[-1] for line in lines]
    swapped = [f"{' '.join(line.split()[:-1])} {key}"
               for line, key in zip(lines, keys[1:] + keys[:1], strict=True)]  # fmt: skip
    hosts.write_text("\n".join(swapped) + "\n")
    ran = standing.run(mode)
    assert isinstance(ran.error, HostKeyRefused | Drift)
    assert "host key has changed" in str(ran.error)


def test_a_stranger_is_refused_with_the_line_that_would_let_it_in(standing):
    (standing.config.parent / "known_hosts").write_text("")
    ran = standing.run("plan")
    assert isinstance(ran.error, HostKeyRefused)
    assert "SHA256:" in str(ran.error)


def test_a_host_that_does_not_let_us_in(standing):
    (standing.config.parent / "id_ed25519").unlink()
    ran = standing.run("plan")
    assert isinstance(ran.error, AuthenticationRefused)


def test_a_tampered_download_is_not_put_in_place(done, client, monkeypatch):
    lab = done.world.lab
    digest = done.planned(only="desktop")
    monkeypatch.setattr(done.world.site[lab.downloads["kubectl"].url], "digest", "0" * 64)
    ran = done.run("apply", digest, only="desktop")
    assert isinstance(ran.error, StepFailed)
    assert "did NOT match" in str(ran.error)
    assert not client.files.exists("/usr/local/bin/kubectl")


@pytest.mark.slow
def test_a_kubeconfig_that_is_there_is_added_to(done, client):
    work = {
        "apiVersion": "v1", "kind": "Config", "current-context": "work",
        "clusters": [{"name": "work", "cluster": {"server": "https://work.example"}}],
        "users": [{"name": "work", "user": {"token": "not ours"}}],
        "contexts": [{"name": "work", "context": {"cluster": "work", "user": "work"}}],
    }  # fmt: skip
    written = yaml.safe_dump(work)
    client.run("install -d -o homelab -g homelab /home/homelab/.kube")
    client.files.put("/home/homelab/.kube/config", written, mode=0o600, user="homelab",
                     group="homelab")  # fmt: skip
    planned = done.run("plan", only="desktop")
    assert done.run("apply", planned.digest, only="desktop").error is None
    found = yaml.safe_load(client.files.text("/home/homelab/.kube/config"))
    assert found["current-context"] == "work"
    assert [each["name"] for each in found["contexts"]] == ["work", "homelab"]
    assert work["users"][0] in found["users"]
    assert client.files.text("/home/homelab/.kube/config.before-homelab") == written


@pytest.mark.slow
def test_somebody_elses_context_of_our_name_is_left_alone(done, client):
    theirs = yaml.safe_dump({
        "clusters": [{"name": "homelab", "cluster": {"server": "https://192.0.2.9:6443"}}],
        "users": [{"name": "homelab", "user": {"token": "the only copy"}}],
        "contexts": [{"name": "homelab", "context": {"cluster": "homelab", "user": "homelab"}}],
    })  # fmt: skip
    config = "/home/homelab/.kube/config"
    client.files.put(config, theirs, mode=0o600, user="homelab", group="homelab")
    ran = done.run("plan", only="desktop")
    assert "has a cluster 'homelab' that is not of lab homelab" in str(ran.error)
    assert client.files.text(config) == theirs


@pytest.mark.sample
def test_home_and_group_are_what_the_client_says(done, client):
    """Of the desktop's step, what it does to a file that is there is tried at every change."""
    client.accounts.read(["homelab:x:1000:100::/srv/lars:/bin/bash"], ["users:x:100:"])
    client.run("install -d -o homelab -g users /srv/lars")
    planned = done.run("plan", only="desktop")
    assert done.run("apply", planned.digest, only="desktop").error is None
    written = client.files.entry("/srv/lars/.kube/config")
    assert (written.user, written.group, oct(written.mode)) == ("homelab", "users", "0o600")
    folder = client.files.entry("/srv/lars/.kube")
    assert (folder.user, folder.group, oct(folder.mode)) == ("homelab", "users", "0o700")


def test_a_file_that_came_after_the_approval_is_not_written_over(standing):
    digest = standing.planned(only="image")
    snippet = "/var/lib/vz/snippets/homelab-vendor.yaml"
    node = standing.world.machines["proxmox"]
    node.files.put(snippet, "# somebody's own\n")
    ran = standing.run("apply", digest, only="image")
    assert f"{snippet} is there" in str(ran.error)
    assert node.files.text(snippet) == "# somebody's own\n"


@pytest.mark.sample
def test_a_client_without_curl_takes_wget_and_without_either_says_so(done, client):
    """Long: the whole step again, for another program."""
    for program in ("curl", "wget"):
        client.packages.pop(program, None)
    assert "has neither curl nor wget" in str(done.run("plan", only="desktop").error)
    client.packages["wget"] = "1.25.0-2"
    planned = done.run("plan", only="desktop")
    assert done.run("apply", planned.digest, only="desktop").error is None
    assert client.files.exists("/usr/local/bin/kubectl")


def test_drift_is_found_and_named(done, monkeypatch):
    monkeypatch.setattr(done.world.machines["truenas"].services["nfs"], "running", False)
    ran = done.run("verify")
    assert isinstance(ran.error, Drift)
    assert "share: start nfs" in str(ran.error)


def test_secrets_land_nowhere(done, phase2_done):
    _, applied, _ = phase2_done
    cluster = done.world.clusters["k3s-control"]
    kubeconfig = done.world.machines["k3s-control"].files.text("/etc/rancher/k3s/k3s.yaml")
    key = yaml.safe_load(kubeconfig)["users"][0]["user"]["client-key-data"]
    for folder in (applied.record, done.config.parent / "state"):
        for file in folder.rglob("*"):
            text = file.read_text(errors="replace") if file.is_file() else ""
            assert cluster.token not in text, file
            assert key not in text, file


def test_the_evidence_of_a_twin_is_never_called_measured(phase2_done):
    _, applied, _ = phase2_done
    text = (applied.record / "summary.json").read_text()
    assert json.loads(text)["evidence"] == "rehearsed"
    assert '"measured"' not in text


def test_a_second_run_on_the_lab_is_refused(standing):
    digest = standing.planned(only="share")
    with lock.held(paths.state("homelab"), alone=True, what="another run"):
        ran = standing.run("apply", digest, only="share")
    assert isinstance(ran.error, Locked)


@pytest.mark.sample
def test_steps_can_be_chosen(standing):
    """Long: most tests of `tests/test_promises.py` choose some."""
    planned = standing.run("plan", only="room,image")
    assert standing.run("apply", planned.digest, only="room,image").error is None
    assert not standing.world.machines["proxmox"].vms
    ran = standing.run("plan", only=["share"])
    assert ran.error is None
    assert ran.changes == 2


def test_a_step_refuses_to_run_without_what_it_needs(standing):
    ran = standing.run("plan", only=["agents"])
    assert "needs image, and that is not in place" in str(ran.error)


def test_a_misspelt_step_is_an_error(standing):
    assert "no step 'imgae'" in str(standing.run("plan", only=["imgae"]).error)


# The design as written -------------------------------------------------------------------------


def _without(decision: str, folder: Path) -> str:
    """A copy of the shipped lab in which one decision was not taken."""
    shutil.copytree(paths.data(), folder)
    file = folder / "decisions.yaml"
    document = yaml.safe_load(file.read_text())
    kept = [each for each in document["decisions"] if each["id"] != decision]
    assert len(kept) + 1 == len(document["decisions"])
    file.write_text(yaml.safe_dump({"decisions": kept}))
    return str(folder)


@pytest.mark.parametrize(
    ("decision", "step", "says"),
    [
        ("managed-switch", "image", "gateway"),
        ("rules-between-vlans", "image", "no rule that lets VLAN 30 into the internet"),
        pytest.param("nfs-over-server-vlan", "volume", "10.0.60.1", marks=pytest.mark.sample),
    ],  # the last one goes through nearly all of the plan
)
def test_the_design_as_written_fails_where_the_real_thing_would(
    tmp_path, monkeypatch, decision, step, says
):
    path = _without(decision, tmp_path / "data")
    with serve_standing(tmp_path / "lab", monkeypatch, path=path) as there:
        ran = there.run("plan")
    assert isinstance(ran.error, StepFailed)
    assert f"{step}: " in str(ran.error)
    assert says in str(ran.error)


def test_a_host_that_is_to_be_left_alone_joins_no_cluster(tmp_path, monkeypatch):
    path = _without("pi5-stays-standalone", tmp_path / "data")
    with serve_standing(tmp_path / "lab", monkeypatch, path=path) as there:
        ran = there.run("plan")
    assert isinstance(ran.error, BadParameter)
    assert "left alone" in str(ran.error)


@pytest.mark.sample
def test_a_proxmox_as_its_installer_leaves_it(tmp_path, monkeypatch):
    """On ext4: VM disks on the thin pool of LVM, and no ZFS on the node at all. Long:
    `test_labs.py` has LVM at every change."""
    folder = tmp_path / "data"
    shutil.copytree(paths.data(), folder)
    storage = yaml.safe_load((folder / "storage.yaml").read_text())
    compute = yaml.safe_load((folder / "compute.yaml").read_text())
    del storage["pools"]["proxmox"], storage["tiers"]["fast"]
    thin = {"kind": "lvmthin", "vgname": "pve", "thinpool": "data", "size_bytes": "800 GB",
            "content": ["images", "rootdir"]}  # fmt: skip
    local = storage["storages"]["proxmox"]["local"]
    storage["storages"]["proxmox"] = {"local": local, "local-lvm": thin}
    for vm in compute["vms"].values():
        vm["storage"] = "local-lvm"
    for name, document in (("storage", storage), ("compute", compute)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    backups = yaml.safe_load((folder / "backups.yaml").read_text())
    del backups["backups"]["guests"], backups["backups"]["guest_drills"]  # onto what is not there
    (folder / "backups.yaml").write_text(yaml.safe_dump(backups, sort_keys=False))
    decisions = folder / "decisions.yaml"
    decisions.write_text(decisions.read_text().replace("storage: local-zfs", "storage: local-lvm"))
    with serve_standing(tmp_path / "lab", monkeypatch, path=str(folder)) as there:
        some = {"only": "room,image,machines"}
        assert there.run("apply", there.planned(**some), **some).error is None
        config = there.world.machines["proxmox"].vms[201].config
        assert config["scsi0"].startswith("local-lvm:vm-201-disk-")


def test_a_share_that_exists_is_looked_at_and_never_made(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    shutil.copytree(paths.data(), folder)
    storage = yaml.safe_load((folder / "storage.yaml").read_text())
    share = storage["nfs_shares"]["truenas"]["k3s"]
    dataset = storage["datasets"]["truenas"]["tank/k3s"]
    for each in (share, dataset):
        del each["phase"]
        each["exists"] = True
    (folder / "storage.yaml").write_text(yaml.safe_dump(storage, sort_keys=False))
    with serve_standing(tmp_path / "lab", monkeypatch, path=str(folder)) as there:
        ran = there.run("plan", only="share")
        assert ran.error is None
        lines = (ran.record / "plan.json").read_text()
        assert "sharing.nfs" not in lines
        assert "pool.dataset" not in lines
        nas = there.world.machines["truenas"]
        [row] = [row for row in nas.tables["nfs"].rows() if row["path"] == share["path"]]
        nas.tables["nfs"].delete(row["id"])
        assert "is exported to the cluster only" in str(there.run("plan", only="share").error)


def test_ctrl_c_in_the_middle_of_a_change(standing, monkeypatch):
    """The change may have been done or not: the journal says so, and the next run looks."""
    digest = standing.planned(only="share")
    run = Fleet.run

    def interrupted(fleet, host, command):
        result = run(fleet, host, command)
        real = fleet.allow_changes and fleet._known_hosts[0].parent.name == "homelab"
        if real and not hits and "sharing.nfs.create" in command.line:
            hits.append(command.line)
            raise KeyboardInterrupt
        return result

    hits = []
    monkeypatch.setattr(Fleet, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        standing.run("apply", digest, only="share")
    assert hits
    record = next((standing.config.parent / "reports").glob("*_ssh_*/summary.json")).parent
    summaries = [json.loads(f.read_text()) for f in record.parent.glob("*/summary.json")]
    assert "interrupted" in {each["status"] for each in summaries}
    assert standing.until_done(digest, only="share") == 1
    assert len(standing.world.machines["truenas"].tables["nfs"].rows()) == 2, "made once, not twice"


@pytest.mark.sample
def test_a_vm_that_its_owner_restores_into_our_number_is_left_alone(standing):
    """Ours was removed, and under the old approval somebody else's is being restored there. Long:
    without his task, `tests/test_promises.py` has it at every change."""
    some = {"only": "room,image,machines"}
    digest = standing.planned(**some)
    assert standing.run("apply", digest, **some).error is None
    node = standing.world.machines["proxmox"]
    for words in ("stop 201", "set 201 --protection 0", "destroy 201"):
        assert node.run(f"qm {words}").finished().status == 0
    node.run("qm create 201 --name family-photos --memory 2048").finished()
    node.vms[201].config["lock"] = "create"
    node.tasks.begin("qmrestore", "201")
    ran = standing.run("apply", digest, allow_destroy=["VM 201 (k3s-control)"], **some)
    assert ran.error is not None
    assert node.vms[201].config["name"] == "family-photos"
