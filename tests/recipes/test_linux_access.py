"""Who may use a plain Linux NAS: accounts, owners of datasets, shares by SMB."""

import re
import shutil

import pytest

from homelab_lib.errors import HomelabError, LabError
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.recipes import runbook
from homelab_lib.recipes.nas import linux
from homelab_lib.runbook.proof import check
from recipes.bench import Bench
from standing import standing as serve_standing

LAB = "tests/machine/lab"
MAIN, OURS = "/etc/samba/smb.conf", "/etc/samba/homelab.conf"


@pytest.fixture(autouse=True)
def passwords(monkeypatch):
    monkeypatch.setenv("ANN_PASSWORD", "correct-horse")
    monkeypatch.setenv("BEN_PASSWORD", "battery-staple")


@pytest.fixture
def house():
    return Bench(lab := load_lab(LAB), linux.steps(lab, 1))


def told(house, line):
    return house.world.machines["nas"].run(line).finished().out.decode()


def refused(house, *more):
    """What stops it, once somebody has done this to the machine."""
    nas = house.world.machines["nas"]
    for line in more:
        assert nas.run(line).finished().status == 0, line
    return house.stops()


def test_a_family_gets_a_share_and_nothing_is_sent_again(house):
    assert house.stops() == ("", "")
    assert told(house, "stat -c %a:%U:%G /tank/files /tank/photos").split() == [
        "2770:root:family",
        "755:root:root",
    ]
    assert re.search(r"\[files\]\n(\t.*\n)*\tvalid users = \+family\n", told(house, "testparm -s"))
    assert "Disk|files|" in told(house, "smbclient -N -g -L 127.0.0.1")
    assert told(house, "pdbedit -L").count("\n") == 2
    assert told(house, "id -Gn ann") == "ann family\n"
    assert not any("correct-horse" in line for line in house.wire.sent)
    house.wire.sent.clear()
    assert house.stops() == ("", "")
    assert house.wire.sent == []


def test_the_runbook_is_planned_carried_out_and_verified(tmp_path, monkeypatch):
    with serve_standing(tmp_path, monkeypatch, path=LAB, runbook="phase1") as there:
        planned = there.run("plan")
        assert planned.error is None
        there.world.faults.arm("cut-after", "smbpasswd")
        there.until_done(planned.digest)
        assert (there.run("apply", planned.digest).sent, there.run("plan").changes) == (0, 0)
        verified = there.run("verify")
        assert verified.error is None
        assert list(check(verified.record)) == []
        nas = there.world.machines["nas"]
        nas.reboot()
        there.world.clock.sleep(120)
        assert there.run("verify").error is None, "after a reboot, too"
        nas.run("chmod 755 /tank/files")
        assert there.run("verify").error is not None


@pytest.mark.parametrize(
    ("done", "step", "says"),
    [
        (["groupadd --gid 4000 family"], "", ""),
        (["groupadd --gid 70 family"], "accounts", "family of nas is one of the system's own"),
        (["groupadd family", "useradd -s /usr/sbin/nologin -G family ann"], "accounts",
         "user ann of nas was there before, with the number 1000"),
        (["useradd ann"], "accounts", "user ann of nas was there before, with shell /bin/sh"),
        (["useradd -s /usr/sbin/nologin ann"], "accounts", "with groups ann; write it down as it"),
        (["zfs create tank/files", "zfs set recordsize=1M quota=64M tank/files"], "permissions",
         "/tank/files of nas was there before, and we did not make it: it is 755 root:root"),
        (["apt-get install -y samba", f"sh -c 'printf \"[Files]\\npath=/srv\\n\" >> {MAIN}'"],
         "smb", "nas shares files already, and not by our file"),
        (["apt-get install -y samba", f"rm {MAIN}"], "smb", "Samba can't read its settings on nas"),
        (["apt-get install -y samba", f"sh -c 'echo mine > {OURS}'"], "smb", "is not of lab"),
        (["apt-get install -y samba smbclient", f"sh -c 'echo \"[x\" >> {MAIN}'"], "smb",
         "Error loading services"),
        (["useradd ben", "apt-get install -y samba", "sh -c 'printf \"pw\\npw\\n\" | smbpasswd -s "
          "-a ben'", "smbpasswd -d ben", "usermod -a -G root ben"], "accounts", "user ben of nas"),
    ],
)  # fmt: skip
def test_what_is_somebodys_stays_and_stops_us(house, done, step, says):
    where, said = refused(house, *done)
    assert (where, says in said) == (step, True), (where, said)


def test_who_was_shut_out_stays_out(house):
    assert house.stops() == ("", "")
    where, said = refused(house, "smbpasswd -d ann")
    assert (where, "shut ann out of Samba" in said) == ("accounts", True)


def test_a_share_in_which_root_alone_may_write_does_not_pass():
    lab = changed(load_lab(LAB), ("nas.nas.acls", {}))
    where, said = Bench(lab, linux.steps(lab, 1)).stops()
    assert where == "smb"
    assert "755 root:root: root alone; say who may under nas.nas.acls" in said


def test_who_may_write_to_an_export_is_told(house):
    assert house.stops() == ("", "")
    says = [each.says for each in house.step("nfs", "verify").checks if "may write" in each.title]
    assert any("/tank/photos is 755 root:root: root alone" in each for each in says)


def test_a_mode_of_the_lab_is_changed_and_its_undo_is_the_one_before(house):
    assert house.stops() == ("", "")
    told(house, "touch /tank/files/letter")
    lab = changed(house.lab, ("nas.nas.acls.tank/files.mode", "2775"))
    house.steps = tuple(linux.steps(lab, 1))
    house.lab = lab
    assert house.stops() == ("", "")
    assert told(house, "stat -c %a /tank/files") == "2775\n"
    assert told(house, "stat -c %U /tank/files/letter") == "root\n", "what is in it stays"


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("nas.nas.users.ann.home", "/home/ann", "no runbook sets that up on plain Linux"),
        ("nas.nas.users.ann.full_name", "Ann: me", "has no colon, comma or line break"),
        ("nas.nas.acls.tank/files.mode", None, "say what its group may: mode: '2770'"),
        ("nas.nas.acls.tank/files.group", "famly", "no group 'famly'"),
        ("nas.nas.acls.tank/files.preset", "NFS4_OPEN", "no runbook sets that up"),
        ("nas.nas.share_acls.files.entries", [{"who": "user:ben", "may": "FULL", "allow": False}],
         "it lets nobody in, and Samba would let in whoever it does not name"),
        ("smb_shares.nas.files.path", "/tank/files/%U", "% can't stand in it"),
    ],
)  # fmt: skip
def test_check_refuses_it_by_its_place(key, value, says):
    with pytest.raises(HomelabError) as caught:
        changed(load_lab(LAB), (key, value))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("{group: family, mode", "{group: builtin_users, mode", "acls.tank/files.group"),
        ("{group: family, mode", "{owner: truenas_admin, mode", "acls.tank/files.owner"),
        ("group:family", "group:builtin_administrators", "share_acls.files.entries.0.who"),
        ("group:family", "user:apps", "share_acls.files.entries.0.who"),
        ("Ann, groups: [family]", "Ann, groups: [family, apps]", "users.ann.groups.1"),
        ("Ben, groups: [family]", "Ben, group: truenas_admin", "users.ben.group"),
    ],
)
def test_whom_only_a_truenas_knows_is_refused_with_file_and_line(tmp_path, old, new, where):
    folder = shutil.copytree(LAB, tmp_path / "lab")
    text = (folder / "lab.yaml").read_text()
    assert text.count(old) == 1
    (folder / "lab.yaml").write_text(text.replace(old, new))
    line = text[: text.index(old)].count("\n") + 1
    with pytest.raises(LabError) as caught:
        load_lab(folder)
    (problem,) = caught.value.problems
    assert f"lab.yaml:{line}" in problem
    assert f"nas.nas.{where}: a TrueNAS has the " in problem
    assert "a plain Linux has not" in problem


@pytest.mark.parametrize(("owner", "group"), [("root", "root"), ("nobody", "nogroup")])
def test_whom_every_debian_knows_needs_no_description(owner, group):
    acl = {"owner": owner, "group": group, "mode": "2775", "phase": 1}
    lab = changed(load_lab(LAB), ("nas.nas.acls", {"tank/files": acl}))
    house = Bench(lab, [each for each in linux.steps(lab, 1) if each.name != "smb"])
    assert house.stops() == ("", "")
    assert told(house, "stat -c %U:%G /tank/files") == f"{owner}:{group}\n"


def test_a_truenas_takes_no_mode():
    lab = load_lab("data")
    name = next(each.name for each in lab.hosts.values() if each.os.kind == "truenas")
    acl = {"mode": "2770", "phase": 1}
    with pytest.raises(HomelabError, match="TrueNAS keeps lists of who may do what"):
        changed(lab, (f"nas.{name}.acls", {next(iter(lab.datasets[name])): acl}))


def test_phases_share_one_file():
    lab = changed(
        load_lab(LAB),
        ("datasets.nas.tank/films", {"purpose": "Films", "share_type": "SMB", "phase": 2}),
        ("nas.nas.acls.tank/films", {"group": "family", "mode": "2775", "phase": 2}),
        (
            "smb_shares.nas.films",
            {"dataset": "tank/films", "path": "/tank/films", "purpose": "Films", "phase": 2},
        ),
        ("phases", [*load_lab(LAB).model_dump()["phases"],
                    {"name": "more", "number": 2, "title": "More", "goal": "More", "tasks": []}]),
    )  # fmt: skip
    house = Bench(lab, linux.steps(lab, 1))
    assert house.stops() == ("", "")
    house.steps = runbook(lab, 2, lambda vm: "").steps
    assert house.stops() == ("", "")
    shown = told(house, "smbclient -N -g -L 127.0.0.1")
    assert "Disk|files|" in shown
    assert "Disk|films|Films" in shown


@pytest.mark.parametrize(
    ("written", "where", "says"),
    [
        ("smb: {encryption: REQUIRED, phase: 1}", "smb", "/etc/samba/smb.conf"),
        ("nfs: {versions: ['4'], phase: 1}", "nfs", "/etc/nfs.conf"),
        (
            "snapshot_tasks: {daily: {dataset: tank/files, keep: 2, unit: WEEK, "
            "schedule: '0 0 * * *', phase: 1}}",
            "snapshot_tasks.daily",
            "sanoid",
        ),
        ("scrubs: {tank: {schedule: '0 3 1 * *', phase: 1}}", "scrubs.tank", "zfsutils-linux"),
        ("commands: {beep: {command: beep, at: POSTINIT, phase: 1}}", "commands.beep", "systemd"),
        (
            "iscsi: {portals: {all: {listen: [10.0.2.15], phase: 1}}}",
            "iscsi.portals.all",
            "targetcli",
        ),
    ],
)
def test_what_only_a_truenas_is_told_is_refused_with_file_and_line(tmp_path, written, where, says):
    folder = shutil.copytree(LAB, tmp_path / "lab")
    text = (folder / "lab.yaml").read_text()
    groups = "    groups: {family: {phase: 1}}\n"
    line = text[: text.index(groups)].count("\n") + 1
    (folder / "lab.yaml").write_text(text.replace(groups, f"    {written}\n{groups}"))
    with pytest.raises(LabError) as caught:
        load_lab(folder)
    (problem,) = caught.value.problems
    assert f"lab.yaml:{line}: nas.nas.{where}: no runbook sets that up on plain Linux" in problem
    assert says in problem
    (folder / "lab.yaml").write_text(
        text.replace(groups, f"    {written.replace(', phase: 1', '')}\n{groups}")
    )
    load_lab(folder)


def test_a_pool_for_apps_is_a_truenas_own():
    with pytest.raises(
        LabError, match=r"nas\.nas.apps_pool: only a TrueNAS has a pool for its apps"
    ):
        changed(load_lab(LAB), ("nas.nas.apps_pool", "tank"))


def test_what_is_to_be_made_on_a_system_that_no_runbook_sets_up_is_refused():
    with pytest.raises(LabError, match=r"nas\.nas.groups.family: no runbook sets up synology"):
        changed(load_lab(LAB), ("hosts.nas.os", {"kind": "synology"}))


def test_what_is_there_on_such_a_system_is_described():
    with_group = ("nas.nas", {"groups": {"family": {"exists": True}}})
    shares = ("smb_shares", {})
    changed(load_lab(LAB), ("hosts.nas.os", {"kind": "synology"}), with_group, shares)
