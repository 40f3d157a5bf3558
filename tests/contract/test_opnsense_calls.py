"""Every request that we make of an OPNsense, against its own controllers and models, by release."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import homelab_lib.control.opnsense as room
from contract.carried_out import CarriedOut
from contract.opnsense_schema import RELEASES, Schema
from homelab_lib import paths
from homelab_lib.control.opnsense import families
from homelab_lib.control.opnsense.row import Family
from homelab_lib.control.opnsense.section import Settings
from homelab_lib.lab import load_lab
from homelab_lib.recipes.firewall import policy, translation
from homelab_lib.recipes.firewall.gateway import Gateway, Names
from homelab_lib.secret import Secret
from homelab_lib.transport.request import Request
from recipes.firewall_box import Box, wide

pytestmark = pytest.mark.contract

FAMILIES = {name: each for name, each in vars(families).items() if isinstance(each, Family)}
SETTINGS = {name: each for name, each in vars(families).items() if isinstance(each, Settings)}
CASES = sorted((Path(__file__).parents[1] / "control" / "opnsense").rglob("*.json"))
RECIPES = Path(room.__file__).parents[2] / "recipes"
BY_RELEASE = pytest.mark.parametrize("series", RELEASES, ids="{0[0]}.{0[1]}".format)


@BY_RELEASE
@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_one_of_the_release(series: tuple[int, int], name: str) -> None:
    schema, family = Schema(series), FAMILIES[name]
    for path in filter(None, (family.search, family.put, family.add)):
        assert schema.has(path)
    known = schema.fields(family.put)
    assert known is not None
    for field, rule in family.fields.items():
        found: Any = {"fields": known}
        for step in field.split("."):
            assert step in found["fields"], (name, field)
            found = found["fields"][step]
        assert bool(rule.joined_by) <= (_is_list(found) or rule.joined_by == "\n"), (name, field)
    assert set(family.key) | ({family.mark} - {""}) <= set(family.fields)


def _is_list(field: dict[str, Any]) -> bool:
    kinds = ("InterfaceField", "NetworkField", "AliasContentField", "StrictTextField")
    return field.get("Multiple") == "Y" or field.get("AsList") == "Y" or field["type"] in kinds


@BY_RELEASE
@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_the_release_s(series: tuple[int, int], name: str) -> None:
    schema, settings = Schema(series), SETTINGS[name]
    assert schema.has(settings.get)
    other = name in ("OUTBOUND", "OUTBOUND_26_1") and (name == "OUTBOUND") != (series >= (26, 7))
    body = {settings.root: {}}
    assert other or not list(schema.wrong("POST", settings.put, body))


@pytest.mark.parametrize("file", CASES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_what_a_case_sends_is_known(file: Path) -> None:
    case = json.loads(file.read_text(encoding="utf-8"))
    requests = [each["call"] for each in case.get("changes", ()) if each["call"][0] == "POST"]
    for series in RELEASES:
        if series < (26, 7) and any("assignment" in path for _, path, _ in requests):
            continue
        schema = Schema(series)
        for method, path, body in requests:
            assert list(schema.wrong(method, path, body)) == []


@BY_RELEASE
def test_every_path_in_the_source_is_known(series: tuple[int, int]) -> None:
    """Whatever is written there as a path: what 26.1 has not is asked for in 26.7 alone."""
    schema = Schema(series)
    files = [*Path(room.__file__).parent.glob("*.py"), *RECIPES.rglob("*.py")]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    found = set(re.findall(r'f?"((?:[a-z_0-9]+)/(?:[a-z_0-9]+)/[a-zA-Z]+)[/"{]', text))
    assert len(found) > 40
    unknown = {path for path in found if not schema.has(path)}
    told = {"firewall/source_nat/setGeneral"} if series >= (26, 7) else set()
    told |= {"firewall/source_nat/setGeneral"}  # of 26.1.11; its data is of 26.1.9
    if series < (26, 7):
        told |= {path for path in found if path.startswith("interfaces/assignment/")}
    assert unknown <= told, unknown - told


@BY_RELEASE
def test_the_shipped_lab_s_rules_are_rules_of_the_release(series: tuple[int, int]) -> None:
    lab = load_lab(paths.data())
    gateway = Gateway(lab, "firewall", 1)
    devices = [zone.device for zone in gateway.zones.values()] + list(gateway.outside.values())
    names = Names(gateway, {device: f"opt{at}" for at, device in enumerate(devices, 1)})
    schema = Schema(series)
    sent = [
        ("firewall/filter/setRule", "rule", each) for each in policy.filter_rules(gateway, names)
    ]
    sent += [("firewall/alias/setItem", "alias", each) for each in translation.aliases(gateway)]
    assert len(sent) > 15
    for path, root, said in sent:
        assert list(schema.wrong("POST", path, {root: dict(said.fields)})) == [], said.title


@BY_RELEASE
@pytest.mark.parametrize("server", ["dnsmasq", "kea"])
def test_what_a_firewall_is_sent_is_known(series: tuple[int, int], server: str) -> None:
    """One of each kind of thing is made on a twin: every look and every change of it."""
    box = Box(".".join(map(str, series)), wide(server))
    schema, sent = Schema(series), []
    run = box.target.link.run

    def watched(host: str, call: Any) -> Any:
        if isinstance(call, Request):
            sent.append(call)
        return run(host, call)

    if server == "kea":
        box.leave_dhcp_to_kea()
    box.target.link.run = watched
    try:
        box.run()
    finally:
        box.target.close()
    assert len(sent) > 100
    wrong = {
        text
        for call in sent
        for text in schema.wrong(
            call.method, call.path, json.loads(json.dumps(call.body, default=Secret.reveal))
        )
    }
    assert wrong == set()


def test_what_runbooks_send_is_known(carried: CarriedOut) -> None:
    """Of every runbook of every lab that is here, to the release that its firewall runs."""
    sent = carried.opnsense
    assert len(sent) > 50
    wrong = {
        text
        for version, method, path, body in sent
        for text in Schema(_series(version)).wrong(method, path, json.loads(body))
    }
    assert wrong == set()


def _series(version: str) -> tuple[int, int]:
    first, second, *_ = map(int, version.split("."))
    return first, second
