"""An OPNsense of the twin: who gets in, what is written and what is in force, and its own ways."""

import base64
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.opnsense_box import ask, box
from homelab_lib.twin.fidelity import Fidelity
from homelab_lib.twin.machine.https import Asked
from homelab_lib.twin.opnsense.config import written
from homelab_lib.twin.opnsense.grounds import GROUNDS
from homelab_lib.twin.opnsense.order import compared

BOTH = pytest.mark.parametrize("version", ["26.1.11", "26.7.2"])
RULE = {"interface": "lan", "action": "pass"}


@pytest.fixture
def newer():
    return box("26.7.2")


@pytest.fixture
def older():
    return box("26.1.11")


def _added(firewall, path, **row):
    status, answer = ask(firewall, "POST", path, row)
    assert (status, answer["result"]) == (200, "saved"), answer
    return answer["uuid"]


def _sequences(firewall):
    _, answer = ask(firewall, "GET", "/api/firewall/filter/searchRule")
    return {row["description"]: row["sequence"] for row in answer["rows"]}


class TestWhoGetsIn:
    def _status(self, firewall, header):
        headers = {"authorization": header} if header else {}
        return firewall.https[443](Asked("GET", "/api/core/system/status", {}, headers, b"")).status

    def _basic(self, pair):
        return "Basic " + base64.b64encode(pair.encode()).decode()

    def test_nobody_without_a_key(self, newer):
        for header in ("", "Basic", "Basic !!", self._basic("key"), self._basic("key:")):
            assert self._status(newer, header) == 401

    def test_the_first_pair_is_roots_and_from_then_on_needs_its_secret(self, newer):
        assert self._status(newer, self._basic("key:secret")) == 200
        assert self._status(newer, self._basic("key:secret")) == 200
        assert self._status(newer, self._basic("key:other")) == 401
        assert self._status(newer, self._basic("other:secret")) == 401

    def test_a_key_that_was_made_gets_in_until_it_is_deleted_and_only_its_hash_is_kept(self, newer):
        _, made = ask(newer, "POST", "/api/auth/user/addApiKey/root")
        header = self._basic(f"{made['key']}:{made['secret']}")
        assert self._status(newer, header) == 200
        assert made["secret"] not in newer.files.text("/conf/config.xml")
        name = base64.b64encode(made["key"].encode()).decode()  # a key has slashes in it
        answer = ask(newer, "POST", f"/api/auth/user/delApiKey/{name}")
        assert answer == (200, {"result": "deleted"})
        assert self._status(newer, header) == 401

    def test_a_user_without_rights_is_forbidden(self, newer):
        user = {"name": "guest", "password": "Str0ng-Passw0rd!", "priv": ""}
        _added(newer, "/api/auth/user/add", user=user)
        _, made = ask(newer, "POST", "/api/auth/user/addApiKey/guest")
        assert self._status(newer, self._basic(f"{made['key']}:{made['secret']}")) == 403


class TestWrittenAndInForce:
    @BOTH
    def test_a_rule_is_in_force_when_it_is_applied_and_not_before(self, version):
        firewall = box(version)
        uuid = _added(firewall, "/api/firewall/filter/addRule", rule=RULE)
        _, before = ask(firewall, "GET", "/api/diagnostics/firewall/listRuleIds")
        ask(firewall, "POST", "/api/firewall/filter/apply")
        _, after = ask(firewall, "GET", "/api/diagnostics/firewall/listRuleIds")
        assert uuid not in [each["id"] for each in before["items"]]
        assert uuid in [each["id"] for each in after["items"]]

    def test_each_service_takes_over_its_own_part(self, newer):
        told = []
        newer.hooks["dnsmasq"].append(lambda firewall: told.append(firewall.running["dnsmasq"]))
        host = {"host": "nas", "domain": "lab", "ip": "10.0.1.9"}
        _added(newer, "/api/dnsmasq/settings/addHost", host=host)
        ask(newer, "POST", "/api/unbound/service/reconfigure")
        assert not told
        ask(newer, "POST", "/api/dnsmasq/service/reconfigure")
        assert told[0].findtext("dnsmasq/hosts/host") == "nas"

    def test_a_boot_takes_over_everything(self, newer):
        vlan = {"if": "ix0", "tag": "77", "pcp": "0", "descr": "x", "vlanif": ""}
        _added(newer, "/api/interfaces/vlan_settings/addItem", vlan=vlan)
        assert "77" not in [each.text for each in newer.running["vlan"].iter("tag")]
        newer.apply_all()
        assert "77" in [each.text for each in newer.running["vlan"].iter("tag")]

    @BOTH
    def test_what_is_under_another_name_is_saved_and_changes_nothing(self, version):
        firewall = box(version)
        before = firewall.config.load().find("dnsmasq/enable").text
        answer = ask(firewall, "POST", "/api/dnsmasq/settings/set", {"typo": {"enable": "0"}})
        assert answer == (200, {"result": "saved"})
        assert firewall.config.load().find("dnsmasq/enable").text == before


class TestBackups:
    @BOTH
    def test_each_write_leaves_one_and_it_leads_back(self, version):
        firewall = box(version)
        _added(firewall, "/api/firewall/filter/addRule", rule=RULE | {"description": "first"})
        _added(firewall, "/api/firewall/filter/addRule", rule=RULE | {"description": "second"})
        _, answer = ask(firewall, "GET", "/api/core/backup/backups/this")
        assert [each["description"] for each in answer["items"][:2]] == [
            "/api/firewall/filter/addRule made changes",
            "/api/firewall/filter/addRule made changes",
        ]
        older = answer["items"][1]["id"]
        assert ask(firewall, "POST", f"/api/core/backup/revertBackup/{older}")[0] == 200
        assert "first" in _sequences(firewall)
        assert "second" not in _sequences(firewall)

    def test_the_hundred_newest_are_kept(self, newer):
        for number in range(105):
            newer.config.save(newer.config.load(), by="root", description=str(number))
        assert [each.description for each in newer.config.backups()][::99] == ["104", "5"]


class TestSavepoint:
    def test_its_number_names_no_backup_so_that_nothing_is_restored(self, older):
        _, point = ask(older, "POST", "/api/firewall/filter/savepoint")
        _added(older, "/api/firewall/filter/addRule", rule=RULE | {"description": "meanwhile"})
        answer = ask(older, "POST", f"/api/firewall/filter/apply/{point['revision']}")
        assert answer == (200, {"status": "OK\n\n"})
        older.world.clock.sleep(61)
        assert "meanwhile" in _sequences(older)

    def test_the_number_in_the_list_of_backups_does(self, older):
        ask(older, "POST", "/api/firewall/filter/savepoint")
        _, found = ask(older, "GET", "/api/core/backup/backups/this")
        number = found["items"][0]["id"].removeprefix("config-").removesuffix(".xml")
        _added(older, "/api/firewall/filter/addRule", rule=RULE | {"description": "meanwhile"})
        ask(older, "POST", f"/api/firewall/filter/apply/{number}")
        older.world.clock.sleep(59)
        assert "meanwhile" in _sequences(older)
        older.world.clock.sleep(2)
        assert "meanwhile" not in _sequences(older)

    def test_one_that_was_called_off_restores_nothing(self, older):
        ask(older, "POST", "/api/firewall/filter/savepoint")
        _, found = ask(older, "GET", "/api/core/backup/backups/this")
        number = found["items"][0]["id"].removeprefix("config-").removesuffix(".xml")
        _added(older, "/api/firewall/filter/addRule", rule=RULE | {"description": "meanwhile"})
        ask(older, "POST", f"/api/firewall/filter/apply/{number}")
        ask(older, "POST", f"/api/firewall/filter/cancelRollback/{number}")
        older.world.clock.sleep(61)
        assert "meanwhile" in _sequences(older)

    @pytest.mark.parametrize("verb", ["savepoint", "cancelRollback/1", "revert/1"])
    def test_newer_ones_have_none(self, newer, verb):
        answer = ask(newer, "POST", f"/api/firewall/filter/{verb}")
        assert answer == (404, {"errorMessage": "Endpoint not found"})


class TestRules:
    def test_factory_rules_stand_first(self, newer, older):
        assert _sequences(newer) == {
            "Default allow LAN to any rule": "1",
            "Default allow LAN IPv6 to any rule": "11",
        }
        assert _sequences(older) == {}

    def test_one_is_put_before_another(self, newer):
        path = "/api/firewall/filter/addRule"
        one = _added(newer, path, rule=RULE | {"description": "one", "sequence": "1"})
        two = _added(newer, path, rule=RULE | {"description": "two", "sequence": "2"})
        answer = ask(newer, "POST", f"/api/firewall/filter/moveRuleBefore/{two}/{one}")
        assert answer == (200, {"status": "ok"})
        assert _sequences(newer) == {
            "Default allow LAN to any rule": "1",
            "two": "51",
            "one": "101",
            "Default allow LAN IPv6 to any rule": "201",
        }

    @BOTH
    def test_a_forward_is_switched_by_whether_it_is_disabled(self, version):
        firewall = box(version)
        rule = {"interface": "wan", "protocol": "tcp", "target": "10.0.1.5", "local-port": "443"}
        rule |= {"destination": {"network": "wanip", "port": "443"}}
        uuid = _added(firewall, "/api/firewall/d_nat/addRule", rule=rule)
        path = f"/api/firewall/d_nat/toggleRule/{uuid}"
        assert ask(firewall, "POST", f"{path}/1") == (200, {"result": "Disabled"})
        assert ask(firewall, "POST", f"{path}/0") == (200, {"result": "Enabled"})


class TestOthers:
    @BOTH
    def test_the_schedule_of_rules_is_made_disabled_and_cannot_be_deleted(self, version):
        firewall = box(version)
        ask(firewall, "POST", "/api/ids/service/reconfigure")
        _, answer = ask(firewall, "GET", "/api/cron/settings/searchJobs")
        (job,) = [row for row in answer["rows"] if row["command"] == "ids update"]
        assert job["enabled"] == "0"
        status, said = ask(firewall, "POST", f"/api/cron/settings/delJob/{job['uuid']}")
        assert status == 500
        assert said["errorMessage"] == "Cannot delete this automatically registered cron job."

    def test_a_locked_assignment_is_not_deleted(self, newer):
        path = "/api/interfaces/assignment"
        _set(newer, lock="1")
        status, said = ask(newer, "POST", f"{path}/delItem/opt2")
        assert (status, said["errorTitle"]) == (500, "locked")
        _set(newer, lock="0")
        assert ask(newer, "POST", f"{path}/delItem/opt2") == (200, {"result": "deleted"})

    def test_an_older_one_has_no_assignments_to_ask_for(self, older):
        answer = ask(older, "GET", "/api/interfaces/assignment/searchItem")
        assert answer == (404, {"errorMessage": "Endpoint not found"})


def _set(firewall, **row):
    answer = ask(firewall, "POST", "/api/interfaces/assignment/setItem/opt2", {"interface": row})
    assert answer == (200, {"result": "saved"})


def test_every_call_rests_on_something():
    assert len({(each.call, each.releases) for each in GROUNDS}) == len(GROUNDS)
    assert {each.rests for each in GROUNDS} == {Fidelity.VALIDATOR, Fidelity.SOURCE}


@pytest.mark.parametrize(
    ("one", "other", "order"),
    [
        *[("10", "9", 1), ("a01", "a1", -1), ("a001", "a01", -1), ("a010", "a09", -1)],
        *[("0a", "00a", 0), ("a 1", "a1", 0), ("x_", "xA", 1), ("", "a", -1)],
        *[("1.05", "1.5", -1), ("a  ,b", "a,c", -1), ("3e-01", "3e-1", -1)],
    ],
)
def test_texts_stand_in_the_order_that_php_gives_them(one, other, order):
    assert compared(one, other) == order  # as PHP 8.2 says
    assert compared(other, one) == -order


def test_a_number_counts_by_its_value_wherever_php_compares_loosely(newer):
    row = {"interface": "lan", "option": "03", "type": "set", "value": "x"}
    _, answer = ask(newer, "POST", "/api/dnsmasq/settings/addOption", {"option": row})
    text = "Only IPv4 addresses are allowed for the selected DHCP option."
    assert answer["validations"]["option.value"] == text


_TEXTS = st.text(st.sampled_from("ab<>&\"' \t\n\r\0ä;"), max_size=6).map(
    lambda text: text.replace("\0", "]]>")
)


@st.composite
def _elements(draw, depth=3):
    attributes = draw(st.dictionaries(st.sampled_from(["uuid", "version"]), _TEXTS))
    made = ET.Element(draw(st.sampled_from(["rule", "vlan", "opt1"])), attributes)
    made.text, made.tail = draw(st.none() | _TEXTS), draw(st.none() | _TEXTS)
    if depth:
        made.extend(draw(st.lists(_elements(depth - 1), max_size=3)))
    return made


@settings(max_examples=200, deadline=None)
@given(_elements())
@pytest.mark.slow
def test_the_configuration_is_written_as_any_writer_of_xml_does(root):
    before = ET.tostring(root)
    text = written(root)
    assert ET.tostring(root) == before
    ET.indent(root)
    assert text == f'<?xml version="1.0"?>\n{ET.tostring(root, encoding="unicode")}\n'
