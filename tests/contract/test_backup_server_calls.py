"""What is sent to a Proxmox Backup Server, and what its twin takes, held against its API schema."""

import shlex

import pytest

from contract.oracle import contract
from homelab_lib.twin.proxmox.backup_server.options import CREATED, UPDATED, Refused, parsed
from recipes.test_own_backup_server import bench_of

pytestmark = pytest.mark.contract
CALLS = {
    "datastore create": ("POST", "/config/datastore"),
    "datastore update": ("PUT", "/config/datastore/{name}"),
    "user create": ("POST", "/access/users"),
    "user generate-token": ("POST", "/access/users/{userid}/token/{token-name}"),
    "acl update": ("PUT", "/access/acl"),
    "prune-job create": ("POST", "/config/prune"),
    "verify-job create": ("POST", "/config/verify"),
    "prune-job update": ("PUT", "/config/prune/{id}"),
    "verify-job update": ("PUT", "/config/verify/{id}"),
    "notification endpoint sendmail create": (
        "POST",
        "/config/notifications/endpoints/sendmail",
    ),
    "notification matcher create": ("POST", "/config/notifications/matchers"),
    "notification endpoint sendmail update": (
        "PUT",
        "/config/notifications/endpoints/sendmail/{name}",
    ),
    "notification matcher update": ("PUT", "/config/notifications/matchers/{name}"),
}
_TAKEN = CREATED | UPDATED


def schema(line):
    verb, path = CALLS[line]
    return contract("proxmox-backup-api.json.gz")["paths"][path][verb]["parameters"]["properties"]


@pytest.mark.parametrize("line", _TAKEN)
def test_the_twin_takes_nothing_that_the_api_does_not(line):
    _, rules, needed = _TAKEN[line]
    known = schema(line)
    assert set(rules) - {"output-format"} <= set(known)
    wanted = {name for name, rule in known.items() if not rule.get("optional")}
    assert wanted == set(needed)
    for name, rule in rules.items():
        told = known.get(name, {})
        if rule.kind == "number":
            assert rule.least == told.get("minimum", 0), name
            assert rule.most in (2**31, told.get("maximum")), name
        if "maxLength" in told:
            assert rule.longest == told["maxLength"], name
        words = set(rule.pattern.split("|"))
        if "enum" in told:
            assert (rule.kind, words) == ("choice", set(told["enum"])), name
        if name == "delete" and "items" in told:
            assert words <= set(told["items"]["enum"]) & set(rules)


def test_what_a_runbook_sends_is_what_the_api_takes(monkeypatch):
    monkeypatch.setenv("PBS_TOKEN", "8c2f0f3a-1111-2222-3333-444455556666")
    bench, _, _ = bench_of(
        datastore={"tuning": {"sync_level": "file", "gc_atime_cutoff_minutes": 1445}},
        mail_to="me@example.org",
    )
    assert bench.stops() == ("", "")
    sent = [shlex.split(line) for line in bench.wire.sent if "proxmox-backup-manager" in line]
    sent = [words[words.index("proxmox-backup-manager") + 1 :] for words in sent]
    lines = [next(each for each in CREATED if " ".join(words).startswith(each)) for words in sent]
    assert set(lines) == set(CREATED) - {"user generate-token"}
    for line, words in zip(lines, sent, strict=True):
        known, given = schema(line), parsed(line, tuple(words[len(line.split()) :]))
        for name, value in given.items():
            rule = known[name]
            for each in value if rule["type"] == "array" else [value]:
                _fits(each, rule.get("items", rule), (line, name))


def _fits(value, rule, where):
    assert value in rule.get("enum", [value]), where
    assert isinstance(value, {"string": str, "integer": int, "boolean": bool}[rule["type"]])
    if rule["type"] == "string":
        assert rule.get("minLength", 0) <= len(value) <= rule.get("maxLength", 4096)


def test_a_token_is_shown_as_text_and_asked_for_json_it_is_refused():
    with pytest.raises(Refused, match="does not allow additional properties"):
        parsed("user generate-token", ("pve@pbs", "node", "--output-format", "json"))
