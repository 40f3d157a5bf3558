"""The twin's verdicts on calls of TrueNAS's middleware, against those of the middleware itself.

The given verdicts are those of the API models: whether a call has the right form. The twin looks at
its state too, so it may refuse more; each such refusal is explained here, or listed.
"""

import json
import random
import re
from collections import Counter
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from contract.oracle import contract
from contract.small_nas import made, small_nas
from homelab_lib.lab.releases import series_of
from homelab_lib.twin.fidelity import Fidelity
from homelab_lib.twin.machine.appliance import release_of
from homelab_lib.twin.truenas.errors import ApiError, NoSuchMethod, OwnFault, ValidationErrors
from homelab_lib.twin.truenas.grounds import GROUNDS
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.rpc import METHODS, find

pytestmark = pytest.mark.contract

EXPLAINED = {
    "it is not there": r"not (found|exist)|not in system|MatchNotFound|no such group|"
    r"is unreachable|not a configured|[Nn]ot a valid interface",
    "it is there already": r"already (exists|used)|exists\.",
    "the method wants more than the form does": r"required|Enter either|Must specify at least",
    "the method looks at what the form lets through": r"invalid|Invalid|Only values|not valid for|"
    r"multiple of|appear to be|Cannot contain|must contain|should be a child|must reside|full name|"
    r"must start with|Only one of|"
    r"Timezone not known|valid ip address|cannot set property|at least \d|not recommended",
    "SMB wants a password": r"Password authentication must be enabled",
}
LISTED = {
    "the real one writes the purpose into the options itself; its own schema wants it there": (
        r"data\.options: (Input tag|Unable to extract tag)"
    ),
    "the real one takes an empty field of a schedule for a star": r"cron syntax - \[\] is not",
    "the real one takes a number for an address": r"data\.(destination|gateway): .*valid string",
}
_MUTATIONS, _FRESH_EACH = 20_000, 1000
_ODD = (
    "",
    "x",
    "ON",
    "INHERIT",
    "ä",
    "x\ny",
    "a" * 2000,
    "10.0.0.0/24",
    "10.0.0.1",
    "/mnt/tank",
    "00",
)
_ODD += (0, 1, -1, 3, 2**40, 1.5, True, False, None, [], {}, [[]], ["x"], {"x": 1}, [None], [1, 1])


def _verdicts() -> list[tuple[str, str, list[Any], bool]]:
    rows = contract("truenas-calls.jsonl.gz")
    return [(release, method, arguments, ok) for release, method, arguments, ok, *_ in rows]


def _taken() -> list[tuple[str, str, list[Any]]]:
    """What the real one takes of what the twin knows, each once."""
    rows = [row[:3] for row in _verdicts() if row[3] and row[1] in METHODS]
    return list({json.dumps(row): row for row in rows}.values())


def _form_is_right(release: str, name: str, arguments: list[Any]) -> bool:
    try:
        find(name, release_of(release)).bind(arguments)
    except (NoSuchMethod, ValidationErrors):
        return False
    return True


def test_nothing_is_taken_that_the_real_one_refuses():
    counted = Counter[bool]()
    for release, name, arguments, accepted in _verdicts():
        if name in METHODS and not accepted:
            taken = _form_is_right(release, name, arguments)
            assert not taken, (release, name, arguments)
            counted[taken] += 1
    assert counted[False] > 5000


def test_what_only_the_twin_refuses_is_explained():
    unexplained, explained, kept = [], Counter[str](), 0
    for release, name, arguments in _taken():
        try:
            made(small_nas(release, pool=name != "pool.create"), name, *arguments)
            kept += 1
        except OwnFault:
            raise
        except ApiError as error:
            reasons = EXPLAINED | LISTED
            found = [why for why, words in reasons.items() if re.search(words, str(error))]
            unexplained += [] if found else [(release, name, arguments, str(error))]
            explained.update(found[:1])
    assert unexplained == []
    assert explained.keys() >= LISTED.keys(), "what is listed and does not happen any more"
    assert kept > 500


def test_what_the_twin_knows_of_them():
    """A method that it does not know is refused as such; these are for later phases."""
    unknown = {name for _, name, _, _ in _verdicts() if name not in METHODS}
    later = {"cloud_backup.create", "cloudsync.create", "interface.create", "replication.create"}
    assert unknown <= later


def test_validator_means_that_verdicts_are_compared():
    compared = {(name, series_of("truenas", release).name) for release, name, _, _ in _verdicts()}
    for grounds in GROUNDS:
        if grounds.rests is Fidelity.VALIDATOR:
            name = grounds.call.removeprefix("midclt call ").removeprefix("python3 ")
            said = grounds.releases or ("25.04", "25.10", "26.0")
            assert {(name, series) for series in said} <= compared


@cache
def _schema(release: str, name: str) -> tuple[Draft202012Validator, list[str]]:
    real = contract(f"truenas-{release.lower()}.json.gz")
    accepts = real["methods"][name]["accepts"] | {"$defs": real["$defs"]}
    return Draft202012Validator(accepts), list(accepts.get("properties", {}))


def test_mutations_of_what_is_taken():
    """20,000 of them, drawn the same each time: none is taken that the schema refuses, and
    whatever is taken ends in an answer or in a refusal, never in a fault."""
    rng = random.Random(8)
    taken = _taken()
    keys = sorted({key for _, _, arguments in taken for key in _keys(arguments)})
    nases: dict[str, TrueNas] = {}
    counted = Counter[tuple[bool, bool]]()
    for number in range(_MUTATIONS):
        if number % _FRESH_EACH == 0:  # what was made meanwhile is no part of the question
            nases.clear()
        release, name, arguments = rng.choice(taken)
        mutated = [_mutated(each, rng, keys) for each in arguments]
        mutated = mutated if rng.random() < 0.95 else [*mutated, rng.choice(_ODD)]
        validator, names = _schema(release, name)
        fits = len(mutated) <= len(names) and validator.is_valid(
            dict(zip(names, mutated, strict=False))
        )
        ours = _form_is_right(release, name, mutated)
        assert fits or not ours, (release, name, mutated)
        counted[fits, ours] += 1
        if ours:
            if release not in nases:
                nases[release] = small_nas(release)
            try:
                made(nases[release], name, *mutated)
            except OwnFault:
                raise
            except ApiError:
                pass
    assert counted[True, True] > 2000, "it draws too few that are right"
    assert counted[False, False] > 5000, "it draws too few that are wrong"


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(_keys, value.values()))
    return set().union(*map(_keys, value)) if isinstance(value, list) else set()


def _mutated(value: Any, rng: random.Random, keys: list[str]) -> Any:
    """Something like it: one place is another, is gone, or is there besides."""
    if isinstance(value, dict) and rng.random() < 0.8:
        changed, act = dict(value), rng.random()
        if changed and act < 0.65:
            key = rng.choice(sorted(changed))
            changed[key] = _mutated(changed[key], rng, keys)
        elif changed and act < 0.75:
            del changed[rng.choice(sorted(changed))]
        else:
            changed[rng.choice(keys)] = rng.choice(_ODD)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.9:
        place = rng.randrange(len(value))
        kept = [_mutated(each, rng, keys) if at == place else each for at, each in enumerate(value)]
        return kept if rng.random() < 0.9 else [*kept, rng.choice([*_ODD, kept[-1]])]
    return rng.choice(_ODD)
