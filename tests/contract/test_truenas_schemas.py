"""What the twin's TrueNAS takes, against the API models of the middleware, release by release."""

from typing import Any

import pytest

import homelab_lib.twin.truenas.midclt  # noqa: F401  (which registers all methods)
from contract.oracle import contract
from contract.shapes import differences, shape
from homelab_lib.twin.machine.appliance import Release, release_of
from homelab_lib.twin.truenas.grounds import GROUNDS
from homelab_lib.twin.truenas.rpc import GOLDEYE, METHODS, Method

pytestmark = pytest.mark.contract

RELEASES = ("25.04.2", "25.10.0", "25.10.5", "26.0.0-beta.3")
UNTOLD = {
    "core.get_jobs",  # of the core itself, which the schemas leave out
    "disk.get_unused",
    *(
        f"{service}.config"  # every service with settings has it; the schemas leave them out
        for service in ("docker", "network.configuration", "nfs", "smb", "ssh", "systemdataset")
    ),
    *(f"{service}.config" for service in ("system.advanced", "system.general", "ups")),
    *("iscsi.global.config", "mail.config"),
    "alert.list",  # of 26, whose alerts are a service of another kind: plugins/alert/__init__.py
    *(f"alertservice.{verb}" for verb in ("create", "delete", "query", "test", "update")),
}
"""Methods that are there, and of which the appliance's schemas do not tell."""


def known(release: str) -> dict[str, Method]:
    """The twin's methods in a release."""
    number: Release = release_of(release.upper())
    return {
        name: method
        for name, methods in METHODS.items()
        for method in methods
        if method.since <= number and (method.until is None or number < method.until)
    }


@pytest.mark.parametrize("release", RELEASES)
def test_each_method_takes_what_the_real_one_takes(release):
    real = contract(f"truenas-{release}.json.gz")
    wrong: dict[str, list[str]] = {}
    compared = 0
    for name, method in known(release).items():
        accepts = real["methods"].get(name, {}).get("accepts")
        if accepts is None:
            continue
        compared += 1
        own: dict[str, Any] = method.arguments.model_json_schema()
        ours, theirs = shape(own, own.get("$defs", {})), shape(accepts, real["$defs"])
        found = differences(ours, theirs)
        if list(own.get("properties", {})) != list(accepts.get("properties", {})):
            found.append("the arguments stand in another order")
        if method.job != real["methods"][name]["job"]:
            found.append(f"it is {'a' if method.job else 'no'} job")
        if found:
            wrong[name] = found
    assert wrong == {}
    assert compared > 15


@pytest.mark.parametrize("release", [each for each in RELEASES if release_of(each) >= GOLDEYE])
def test_a_method_that_a_release_has_not_is_not_there(release):
    methods = contract(f"truenas-{release}.json.gz")["methods"]
    assert set(known(release)) - UNTOLD <= methods.keys()
    gone = {name for name in METHODS if name in methods} - known(release).keys()
    assert gone == set(), "the twin knows it in other releases, and not in this one"


def test_what_rests_on_the_models_has_one_in_each_release_that_it_names():
    models = {f"{a}.{b:02}" if a < 26 else f"{a}.{b}": contract(f"truenas-{each}.json.gz")
              for each in RELEASES for a, b in [release_of(each)[:2]]}  # fmt: skip
    without = [
        (name, series)
        for grounds in GROUNDS
        for series in grounds.releases or models
        if grounds.source == "its API models" and grounds.call.startswith("midclt call ")
        and (name := grounds.call.split()[2]) not in {*models[series]["methods"], *UNTOLD}
    ]  # fmt: skip
    assert without == []
