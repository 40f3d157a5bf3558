"""Whatever comes, an OPNsense of the twin answers it: nothing that it is sent breaks it."""

import json
import random
from collections import defaultdict

import pytest

from contract.opnsense_box import ask, box
from contract.oracle import contract
from homelab_lib.twin.opnsense.endpoints import endpoints

pytestmark = pytest.mark.contract

DOCUMENTS = defaultdict(list)
for _row in contract("opnsense-verdicts-shared.jsonl.gz"):
    DOCUMENTS[_row["release"]].append((_row["path"], _row["document"]))
_STATUSES = {200, 400, 401, 403, 404, 500}
_ODD = (
    *("", " ", "\n", "0", "1", "-1", "1.5", "00", "99999999999999999999", "1e3", "NaN", "a" * 5000),
    *(
        "any",
        "lan",
        "wan,lan",
        ",",
        ",,",
        "10.0.0.1/33",
        "10.0.0.300",
        "::1",
        "fe80::1%ix0",
        "::/0",
    ),
    *("é" * 300, "\u0000", "😀", "&lt;", "<x>", "]]>", "\ud800", "%s%n", "' OR 1=1", "../..", "\\"),
    *("host_alias", "!lan", "1:2:3", "80-22", "http", "aa:bb:cc:dd:ee:ff", "a.b.c.", "-", "."),
    *(None, True, False, 0, 1, -1, 3.5, 10**30, [], {}, [1, "a", None], {"a": {"b": []}}, [[]]),
)


def _mutated(chance, value, depth=0):
    """A document with something in it changed."""
    if isinstance(value, dict) and value and chance.random() < 0.9 and depth < 6:
        name = chance.choice(sorted(value))
        changed = dict(value)
        turn = chance.random()
        if turn < 0.1:
            del changed[name]
        elif turn < 0.2:
            changed[chance.choice(["x", "", "uuid", "0", name.upper(), "é"])] = chance.choice(_ODD)
        else:
            changed[name] = _mutated(chance, value[name], depth + 1)
        return changed
    if isinstance(value, str) and value and chance.random() < 0.4:
        place = chance.randrange(len(value))
        with_what = chance.choice(["", "\n", "0", ",", " ", "é", ".", ":", "/", "-", "A"])
        return value[:place] + with_what + value[place + chance.randrange(2) :]
    return chance.choice(_ODD)


@pytest.mark.parametrize("release", sorted(DOCUMENTS))
def test_no_document_breaks_it(release):
    chance = random.Random(f"opnsense {release}")
    firewall = box(release)
    for _ in range(800):
        path, document = chance.choice(DOCUMENTS[release])
        for _ in range(chance.randrange(1, 4)):
            document = _mutated(chance, document)
        status, answer = ask(firewall, "POST", path, document)
        assert status in _STATUSES, (path, document)
        assert isinstance(answer, dict | list), (path, document)
        json.dumps(answer)
        firewall.config.load()  # what is kept can be read again


@pytest.mark.parametrize("release", sorted(DOCUMENTS))
def test_no_call_breaks_it(release):
    chance = random.Random(f"calls {release}")
    firewall = box(release)
    known = endpoints(firewall.release)
    calls = [f"/api/{controller}/{name}" for controller in known for name in known[controller]]
    held = [each.get("uuid", "") for each in firewall.config.load().iter() if each.get("uuid")]
    for path in calls * 3:
        words, _, name = path.rpartition("/")
        first, *rest = name.split("_")
        called = "/".join([words, first + "".join(word.capitalize() for word in rest)])
        called = chance.choice([called, called, path, called + "/"])
        odd = [*held, "lan", "0", "1", "x" * 300, "%2e%2e", "a,b", "", "é", "-1"]
        more = [chance.choice(odd) for _ in range(chance.randrange(4))]
        body = chance.choice([None, b"", b"{", b"[]", b'"a"', b"null", b"a=b&c[d]=e", {}, {"a": 1}])
        kind = chance.choice(["json", "json", "form", "text/plain", ""])
        status, _ = ask(
            firewall, chance.choice(["GET", "POST"]), "/".join([called, *more]), body, kind
        )
        assert status in _STATUSES, (called, more, body)
        if not firewall.up:
            firewall = box(release)
        firewall.config.load()
