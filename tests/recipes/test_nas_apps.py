"""Apps of a NAS and their graphics: installed once, told apart from others', and tried."""

import json

import pytest

from homelab_lib.errors import BadParameter, HomelabError, StepFailed
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.recipes.nas import apps as nas_apps
from nas_bench import Bench

LAB = load_lab()
RELEASES = ("25.04.2", "25.10.1", "26.0.0-BETA.3")
SERVICE = "services.jellyfin"
SIGNED = ("play-jellyfin", "transcode-jellyfin")
ENCODING = "/mnt/.ix-apps/app_mounts/jellyfin/config/config/encoding.xml"


@pytest.fixture
def bench():
    made = []

    def up(*changes, lab=LAB):
        there = Bench(changed(lab, *changes) if changes else lab, nas_apps.steps)
        made.append(there)
        _with_pool(there.nas)
        # The firewall's own runbook comes first: the NAS reaches the internet.
        there.world.internet = lambda source: ""
        return there

    yield up
    for each in made:
        each.close()


def _with_pool(nas):
    """What other recipes make before: a pool with the films."""
    disks = [name for name, disk in nas.disks.items() if not disk.boot]
    topology = {"data": [{"type": "RAIDZ2", "disks": disks}]}
    nas.run(
        f"midclt call -j pool.create '{json.dumps({'name': 'tank', 'topology': topology})}'"
    ).finished()
    nas.run('midclt call pool.dataset.create \'{"name": "tank/media"}\'').finished()


@pytest.mark.parametrize("release", RELEASES)
def test_apps_are_installed_once_and_answer(bench, release):
    there = bench(("hosts.truenas.os.version", release))
    there.apply(confirm=SIGNED)
    assert [app["name"] for app in there.nas.apps] == ["jellyfin", "tdarr"]
    assert there.nas.config["docker"]["pool"] == "tank"
    there.apply(confirm=SIGNED)
    assert there.sent == []
    outcomes = there.verify(confirm=SIGNED).values()
    assert {each.status for each in outcomes} == {"already"}


def test_what_the_card_does_is_told_beside_what_was_hoped_for(bench):
    outcome = bench().apply(confirm=SIGNED)["transcode-jellyfin"]
    assert {check.title: check.holds for check in outcome.checks}["Intel Arc B580 encodes AV1"]
    assert "Intel Arc B580 maps tones" in [check.title for check in outcome.checks]
    rows = {row.name: (row.value, row.predicted) for row in outcome.measurements}
    assert rows == {
        "1080p films at once on truenas.b580": (8, 8),
        "4K films at once on truenas.b580": (4, 4),
    }


def test_values_that_a_person_set_stay(bench):
    there = bench()
    there.apply(confirm=SIGNED)
    values = there.nas.app_values["jellyfin"]
    values["resources"]["limits"]["cpus"] = 8
    values["network"]["https_port"] = {"bind_mode": "published", "port_number": 8920}
    values["network"]["web_port"]["port_number"] = 30013
    there.apply("nas-apps", "nas-graphics", "app-jellyfin")
    [line] = there.sent
    assert "app.update" in line
    now = there.nas.app_values["jellyfin"]
    assert now["network"]["web_port"]["port_number"] == 8096
    assert now["network"]["https_port"]["port_number"] == 8920
    assert now["resources"]["limits"]["cpus"] == 4


def test_an_app_that_is_not_ours_is_left_alone(bench):
    there = bench()
    there.apply("nas-apps")
    document = {"app_name": "jellyfin", "catalog_app": "jellyfin", "train": "community"}
    there.midclt("-j", "app.create", json.dumps(document))
    with pytest.raises(StepFailed, match="we did not install it"):
        there.apply("app-jellyfin")
    assert there.sent == []


def test_apps_that_lie_on_another_pool_are_not_left_behind(bench):
    there = bench()
    there.nas.config["docker"]["pool"] = "fast"
    with pytest.raises(StepFailed, match="would stay behind"):
        there.apply("nas-apps")


# No go ------------------------------------------------------------------------------------------


def _narrow_window(nas):
    next(each for each in nas.bus if each.name == "b580").window_bytes = 2**28


def _no_driver(nas):
    next(each for each in nas.bus if each.name == "b580").driver = ""


def _unplugged(nas):
    nas.bus = [each for each in nas.bus if each.name != "b580"]


def _no_node(nas):
    nas.files.remove("/dev/dri/by-path/pci-0000:03:00.0-render")


def _old(nas):
    nas.kernel = "6.6.44-production+truenas"


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (_narrow_window, "dies of a bus error"),
        (_no_driver, "none has taken it"),
        (_unplugged, "nothing like it on the bus"),
        (_no_node, "it has none"),
        (_old, "it needs 6.12: update the NAS first"),
    ],
)
def test_a_card_that_does_not_do_is_no_go_with_a_way_back(bench, fault, says):
    there = bench()
    fault(there.nas)
    with pytest.raises(StepFailed, match=says) as stopped:
        there.apply("nas-graphics")
    if fault is not _narrow_window:
        assert "own graphics, take truenas.b580 out of services.jellyfin.devices" in str(
            stopped.value
        )


def test_the_way_back_is_the_processors_own_graphics(bench):
    there = bench((f"{SERVICE}.devices", []), ("services.tdarr.devices", []))
    _unplugged(there.nas)
    outcomes = there.apply(confirm=SIGNED)
    assert "nas-graphics" not in outcomes
    says = [check.says for check in outcomes["transcode-jellyfin"].checks if check.holds]
    assert "/dev/dri/renderD128" in says
    rows = {row.name: row.predicted for row in outcomes["transcode-jellyfin"].measurements}
    assert rows["1080p films at once on truenas.cpu"] == 2


def test_a_render_node_that_is_another_cards(bench):
    there = bench()
    there.apply("nas-apps", "app-jellyfin")
    there.nas.files.mkdir(ENCODING.rpartition("/")[0], parents=True)
    there.nas.files.put(
        ENCODING,
        "<EncodingOptions><HardwareAccelerationType>vaapi</HardwareAccelerationType>"
        "<VaapiDevice>/dev/dri/renderD128</VaapiDevice></EncodingOptions>",
    )
    with pytest.raises(HomelabError, match=r"by /dev/dri/renderD128; it has to be .*renderD129"):
        there.apply("transcode-jellyfin", confirm=SIGNED)
    there.nas.files.put(ENCODING, there.nas.files.text(ENCODING).replace("D128", "D129"))
    assert there.apply("transcode-jellyfin")["transcode-jellyfin"].status == "already"


def test_of_several_pools_one_has_to_be_named():
    pools = {"tank": LAB.pools["truenas"]["tank"], "fast": LAB.pools["truenas"]["tank"]}
    with pytest.raises(BadParameter, match="which of them apps are kept on"):
        nas_apps.pool_of(LAB.model_copy(update={"pools": {"truenas": pools}}), "truenas")


def test_without_a_name_server_no_image_is_found(bench):
    """The first interface that is set by hand takes away what DHCP gave."""
    there = bench()
    alias = {"type": "INET", "address": "10.0.30.5", "netmask": 24}
    there.midclt("interface.update", "enp1s0", json.dumps({"aliases": [alias]}))
    there.midclt("interface.commit", '{"rollback": false}')
    with pytest.raises(HomelabError, match="no name server to ask"):
        there.apply("nas-apps", "app-jellyfin")
