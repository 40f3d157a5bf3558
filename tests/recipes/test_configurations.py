"""What a firewall is set to: fetched onto the desktop, copied from there, and read again."""

import base64

import pytest

from homelab_lib.control.linux.drills import last_drill
from homelab_lib.errors import LabError
from homelab_lib.lab import load_lab
from homelab_lib.lab.backups import CONFIGURATIONS
from homelab_lib.lab.changes import changed
from homelab_lib.recipes.backup import files as backup
from homelab_lib.twin.machine.https import Asked
from homelab_lib.twin.opnsense import web
from recipes.bench import Bench

LAB = load_lab()
PATH = f"{CONFIGURATIONS}/firewall.xml"
_DAY_S = 86_400.0
KEY, SECRET = "key-of-a-copier", "secret-of-a-copier"


@pytest.fixture(autouse=True)
def secrets(monkeypatch):
    names = ("RESTIC_SECOND_PASSWORD", "RESTIC_SECOND_LOGIN_KEY", "RESTIC_B2_PASSWORD",
             "B2_KEY_ID", "B2_APPLICATION_KEY")  # fmt: skip
    for name in names:
        monkeypatch.setenv(name, f"nobody's {name.lower()}")
    monkeypatch.setenv("OPNSENSE_COPY_KEY", KEY)
    monkeypatch.setenv("OPNSENSE_COPY_SECRET", SECRET)


def bench_of():
    kept = LAB.backups
    only = ("desktop-second",)
    lab = LAB.model_copy(
        update={
            "nas": {},
            "backups": kept.model_copy(
                update={
                    "files": {name: kept.files[name] for name in only},
                    "drills": {"firewall": kept.drills["firewall"]},
                    "guests": {},
                    "guest_drills": {},
                    "claim_drills": {},
                }
            ),
        }
    )
    bench = Bench(lab, backup.steps(lab, 4), phase=4)
    bench.world.machines["desktop"].files.put("/home/homelab/letter", "dear aunt\n")
    box = bench.world.machines["firewall"]
    box.doorman.user_of(_basic("root's key", "root's secret"), box.config.load())
    _saved(box)
    return bench, bench.world.machines["desktop"], box


def _basic(key, secret):
    return f"Basic {base64.b64encode(f'{key}:{secret}'.encode()).decode()}"


def _saved(box):
    """Somebody saves in its pages: that leaves a backup."""
    box.config.save(box.config.load(), by="root@10.0.10.50", description="/system_general.php")


def _asked(box, path, method="GET"):
    headers = {"authorization": _basic(KEY, SECRET)}
    return box.https[443](Asked(method, path, {}, headers)).status


def _fetched_s(desk):
    return float(desk.files.text(f"{PATH}.when"))


def test_fetched_whole_for_root_alone_copied_and_read_again():
    bench, desk, box = bench_of()
    assert bench.stops() == ("", "")
    assert desk.files.text(PATH) == box.config.backup(box.config.backups()[0].id)
    assert desk.files.entry(CONFIGURATIONS).mode == 0o700
    assert desk.files.entry("/etc/homelab/fetched/firewall.curl").mode == 0o600
    assert not desk.files.exists(f"{PATH}.new")
    [repository] = bench.world.repositories.repositories.values()
    assert PATH in repository.snapshots[0].files
    assert not any(KEY in line or SECRET in line for line in bench.wire.sent)
    last = last_drill(bench.engine().context.host("desktop"), "firewall")
    assert last.files == {PATH: "same"}
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.wire.sent == []
    # The key is good for reading copies, and for nothing else.
    oldest = box.config.backups()[-1].id
    for verb in ("deleteBackup", "revertBackup"):
        assert _asked(box, f"/api/core/backup/{verb}/{oldest}", "POST") == 500
    assert box.config.backups()[-1].id == oldest
    assert _asked(box, "/api/core/backup/backups/this") == 200
    assert _asked(box, "/api/core/firmware/running") == 403
    # It goes on by itself; what is read again later was changed since its copy, and is whole.
    box.config.save(box.config.load(), by="root@10.0.10.50", description="another rule")
    bench.world.clock.sleep(40 * _DAY_S)
    assert "another rule" in desk.files.text(PATH)
    assert bench.stops() == ("", "")
    assert bench.wire.sent == []


def test_what_is_no_whole_configuration_takes_nothings_place():
    bench, desk, box = bench_of()
    assert bench.stops() == ("", "")
    before, page = desk.files.text(PATH), box.http[443]
    for answer in ((200, b""), (200, before.encode()[: len(before) // 2]), (200, b"<html/>"),
                   (503, b"busy")):  # fmt: skip
        box.http[443] = lambda path, headers, answer=answer: answer
        bench.world.clock.sleep(3 * _DAY_S)
        assert desk.files.text(PATH) == before
        where, said = bench.stops()
        assert where == "configuration-firewall", answer
        assert "homelab-configuration-firewall" in said
        assert "<opnsense>" not in said, "nothing of what is in it is told"
        box.http[443] = page
        assert bench.stops() == ("", "")


def test_a_firewall_with_another_key_gets_no_login_until_it_is_looked_at_anew():
    bench, desk, box = bench_of()
    assert bench.stops() == ("", "")
    fetched_s = _fetched_s(desk)
    seen, page = [], box.http[443]
    box.http[443] = lambda path, headers: (seen.append(headers), page(path, headers))[1]
    web.shows(box, days=web.WEB_DAYS, key=1)  # configctl webgui restart renew
    bench.world.clock.sleep(1.5 * _DAY_S)
    assert (_fetched_s(desk), seen) == (fetched_s, [])
    assert bench.stops() == ("", ""), "by SSH we know that it is the firewall's own"
    bench.world.clock.sleep(1.5 * _DAY_S)
    assert _fetched_s(desk) > fetched_s


def test_a_key_that_was_withdrawn_is_told_and_what_is_there_stays():
    bench, desk, box = bench_of()
    assert bench.stops() == ("", "")
    box.doorman.made_by_hand[KEY] = "another"
    bench.world.clock.sleep(5 * _DAY_S)
    where, said = bench.stops()
    assert where == "configuration-firewall"
    assert "homelab-configuration-firewall" in said
    assert desk.files.text(PATH).endswith("</opnsense>\n")


def test_a_copy_that_can_not_be_read_fails_the_drill_and_tells_no_word_of_it():
    bench, desk, _ = bench_of()
    assert bench.stops() == ("", "")
    whole = desk.files.read(PATH)
    desk.files.write(PATH, b"<opnsense><password>hunter2</password><torn")
    [repository] = bench.world.repositories.repositories.values()
    bench.world.machines["desktop"].units["homelab-backup-desktop-second"].start(desk)
    bench.world.clock.sleep(3600)
    newest = max(repository.snapshots, key=lambda each: each.time_s)
    assert newest.files[PATH].data != whole
    desk.files.remove("/var/lib/homelab/drills/firewall")
    where, said = bench.stops()
    assert where == "drill-firewall"
    assert f"what came back of {PATH} can not be read" in said
    assert "hunter2" not in said
    assert last_drill(bench.engine().context.host("desktop"), "firewall").files[PATH] == "lost"
    assert not desk.files.exists("/var/lib/homelab/drills/firewall.files")


def test_a_plan_sends_what_apply_sends():
    bench, _, _ = bench_of()
    other = bench.likeness()
    assert other.stops() == ("", "")
    assert bench.stops() == ("", "")
    assert other.wire.sent == bench.wire.sent


def test_a_configuration_that_nothing_copies_is_no_lab():
    with pytest.raises(LabError, match="nothing copies /var/lib/homelab/configurations of desktop"):
        changed(
            LAB,
            ("backups.files.desktop-b2.paths", ["/home"]),
            ("backups.files.desktop-second.paths", ["/home"]),
            ("backups.drills.firewall.phase", None),
        )
