"""What OPNsense's answers mean, and what of its API only looks."""

import json

import pytest

import homelab_lib.control  # noqa: F401  (what only reads)
from homelab_lib.control.opnsense.api import release, told
from homelab_lib.control.opnsense.interfaces import described_as, next_free
from homelab_lib.control.opnsense.reads import SERVICE
from homelab_lib.control.opnsense.revert import Aside
from homelab_lib.control.opnsense.row import own_id
from homelab_lib.control.opnsense.values import nested, parts, plain
from homelab_lib.errors import StepFailed
from homelab_lib.transport.command import Result
from homelab_lib.transport.reads import only_asks, reads_only

OFF = [
    {"value": "Enable VLAN Hardware Filtering", "selected": 0},
    {"value": "Disable VLAN Hardware Filtering", "selected": 0},
    {"value": "Leave default", "selected": 1},
]


class Says:
    name = "firewall"

    def __init__(self, text: str) -> None:
        self.text = text

    def read(self, *argv, **options):
        return Result(0, self.text, "")

    def cut(self, text, limit, *, end=False):
        return text[-limit:] if end else text[:limit]

    def fact(self, name, look):
        return look(self)


@pytest.mark.parametrize(
    "answer",
    [
        {"result": "saved", "uuid": "eee86501-cf7d-42c9-9443-a141aafed447"},
        {"result": "saved"},
        {"status": "ok"},
        {"status": "OK"},
        {"status": "OK\n\n"},
        {"status": "1"},
        {"result": "deleted"},
        {"result": "ok"},
        {"result": "Disabled", "changed": True},
    ],
)
def test_a_change_is_done_by_what_is_answered(answer):
    assert told(Says(""), Result(0, json.dumps(answer), "")).error == ""


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            {"result": "failed", "validations": {"vlan.tag": "Tag is missing."}},
            "vlan.tag: Tag is missing.",
        ),
        (
            {
                "result": "failed",
                "validations": {"vlan.tag": ["Tag for this device must be unique."]},
            },
            "vlan.tag: Tag for this device must be unique.",
        ),
        ({"result": "failed"}, "failed"),  # another root than its own
        ({"result": "not found"}, "not found"),
        ({"status": "error"}, "error"),  # an unknown ruleset among others
        ({"status": "error installing ids rules ()"}, "error installing ids rules ()"),
        ({"status": "template error"}, "template error"),
        ({}, "configd gave no answer"),
        ([], "no answer of its API"),
    ],
)
def test_what_was_refused_by_200_is_told(answer, says):
    progress = told(Says(""), Result(0, json.dumps(answer), ""))
    assert progress.done
    assert says in progress.error


def test_a_page_in_place_of_json_is_no_answer():
    assert "no answer" in told(Says(""), Result(0, "<html>Login</html>", "")).error


@pytest.mark.parametrize(
    ("printed", "found"),
    [("OPNsense 26.7.2 (amd64)\n", (26, 7)), ("OPNsense 26.1.11 (amd64)\n", (26, 1)),
     ("26.1\n", (26, 1))],
)  # fmt: skip
def test_the_release(printed, found):
    assert release(Says(printed)) == found


def test_no_release():
    with pytest.raises(StepFailed, match="names no release of OPNsense"):
        release(Says("pfSense\n"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1", "1"),
        (None, ""),
        (
            {"pcap": {"value": "PCAP", "selected": 1}, "netmap": {"value": "IPS", "selected": 0}},
            "pcap",
        ),
        (
            {"lan": {"value": "LAN", "selected": 1}, "opt1": {"value": "A", "selected": 1}},
            "lan,opt1",
        ),
        ({"": {"value": "None", "selected": 1}, "hs": {"value": "Hyperscan", "selected": 0}}, ""),
        (OFF, "2"),
        ([], ""),
    ],
)
def test_a_value_as_it_would_be_sent(value, text):
    assert plain(value) == text


def test_lists_and_names():
    assert parts("b, a,\r\n,a", ",") == ["a", "b"]
    assert nested({"source.network": "any", "log": "0"}) == {
        "source": {"network": "any"},
        "log": "0",
    }
    assert described_as("DMZ-1 (web)") == "DMZ_1__WEB_"
    assert [next_free({"lan": 1, "opt1": 1, "opt3": 1}, taken) for taken in range(3)] == [
        "opt2", "opt4", "opt5",
    ]  # fmt: skip


def test_an_id_of_ours_is_one_that_set_makes_a_row_by():
    """Lower case, version 4, variant 8 to b: by any other nothing is made."""
    ids = {own_id("attic", "alias", str(number)) for number in range(300)}
    assert len(ids) == 300
    assert all(each[14] == "4" and each[19] in "89ab" and each == each.lower() for each in ids)
    assert own_id("attic", "alias", "x") != own_id("cellar", "alias", "x")


@pytest.mark.parametrize(
    "path",
    [
        "/api/firewall/filter/searchRule",
        "/api/core/backup/backups/this",
        "/api/core/backup/download/this/config-1795650763.2775.xml",
        "/api/interfaces/overview/interfacesInfo",
        "/api/ids/service/status",
        "/api/diagnostics/firewall/listRuleIds",
    ],
)
def test_a_look(path):
    assert only_asks(SERVICE, "GET", path, {})
    assert not only_asks(SERVICE, "POST", path, {})


@pytest.mark.parametrize(
    "path",
    [
        "/api/firewall/filter/apply",
        "/api/firewall/filter/addRule",
        "/api/firewall/filter/toggleRule/x/1",
        "/api/core/backup/revertBackup/config.xml",
        "/api/ids/service/updateRules",
        "/api/unbound/diagnostics/dumpcache/../../settings/set",
        "/api/firewall/filter/searchRule/../apply",
        "/api/firewall/alias/delItem/x",
    ],
)
def test_no_look(path):
    assert not only_asks(SERVICE, "GET", path, {})


def test_commands_that_look():
    assert reads_only(["pluginctl", "-g", "interfaces.opt1"])
    assert reads_only(["pgrep", "-f", "/conf/homelab-attic-rules.xml"])
    assert not reads_only(["pluginctl", "-s", "ntpd", "restart"])
    assert not reads_only(["pluginctl", "-f", "system"])
    assert not reads_only(["configctl", "filter", "reload"])
    assert not reads_only(["printenv"])  # all of it may hold anything


def test_the_undo_is_armed_only_by_what_lies_aside_and_a_process_that_lives():
    """Both are looked at: a timer without a copy puts nothing back, a copy alone does nothing."""
    aside = Aside("firewall", "attic", "rules")
    rollback = aside.rollback("configctl ids stop")
    script = rollback.arm.argv[-1]
    at_boot = "/usr/local/etc/rc.syshook.d/early/01-homelab-attic-rules"
    steps = ("test -e", f"chmod 755 {at_boot}", "daemon -f")
    assert sorted(steps, key=script.index) == list(steps)
    assert script.count("mv /conf/homelab-attic-rules.xml /conf/config.xml") == 2
    assert script.index("configctl ids stop") < script.index("rc.reload_all")
    alive = {"pgrep": 0, "test -e": 0, "test -x": 0}

    class Box:
        def read(self, *argv, **options):
            asked = next(each for each in alive if " ".join(argv).startswith(each))
            return Result(alive[asked], "", "")

    assert rollback.armed(Box())
    for missing in alive:
        alive[missing] = 1
        assert not rollback.armed(Box())
        alive[missing] = 0
    # After the timer has gone off nothing lies aside, so it can't be confirmed any more. What lies
    # there stays: whether what was guarded was carried out, nobody may have heard.
    script = rollback.confirm.argv[-1]
    assert script.startswith("test -e /conf/homelab-attic-rules.xml || {")
    assert script.endswith(f"rm -f {at_boot}; pkill -f /conf/homelab-attic-rules.xml")


def test_a_reply_that_was_lost_is_no_refusal():
    progress = told(Says(""), Result(0, "", ""))
    assert (progress.done, progress.error) == (False, "")
