"""Real requests in sequence are answered as the real ones were.

What comes of the emulated system daemon, and what was masked, is left out by name.
"""

import json
import re

import pytest

from contract.opnsense_box import ask, box
from contract.oracle import contract

pytestmark = pytest.mark.contract

RELEASES = ("26.1.11", "26.7.2")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_EMULATED = {
    "no auth": "there was nobody to log in at",
    "overview": "the system daemon was not there",
    "dnsmasq status": "the system daemon was not there",
    "ids status": "the system daemon was not there",
    "service search": "the system daemon was not there",
    "firmware running": "the system daemon was not there",
    "fw status": "the system daemon was not there",
    "upgradestatus": "the system daemon was not there",
    "wg keypair": "the system daemon was not there",
    "cancelRollback": "the timer was not there, and was told to have been",
    "setup wizard get": "the twin has no wizard, and says so",
    "setup wizard": "the twin has no wizard, and says so",
    "dnsmasq get": "it kept the factory's range, whose net LAN is not in",
    "apikey search": "the key that asked was in the configuration",
    "backups": "times and sizes are each machine's own",
    "diff": "times are each machine's own",
    "revert": "times are each machine's own",
    "savepoint": "times are each machine's own",
}
_VARIES = {"key", "secret", "password", "pwd_changed_at", "apikeys", "%apikeys", "msg_uuid"}
_VARIES |= {"created.time", "updated.time", "created.description", "updated.description"}


def _body(step):
    """A request's body and content type."""
    body = step["body"]
    if not (isinstance(body, dict) and set(body) == {"_raw"}):
        return body, "json"
    kinds = {"no type": "", "text/plain": "text/plain", "form": "form"}
    kind = next((kind for word, kind in kinds.items() if word in step["step"]), "json")
    return body["_raw"].encode(), kind


class Names:
    """Which uuid here stands for which there."""

    def __init__(self, vlan):
        self.known = {}
        self.vlan = vlan  # the first that is named without ever having been told

    def learn(self, there, here):
        if isinstance(there, dict) and isinstance(here, dict):
            for key in there.keys() & here.keys():
                self.learn(there[key], here[key])
            new = [key for key in here if _UUID.fullmatch(key)]
            for key in (key for key in there if _UUID.fullmatch(key) and key not in self.known):
                told = self.as_here(there[key])
                same = next((each for each in new if self.as_here(here[each]) == told), "")
                if same:
                    self.known[key] = same
        elif isinstance(there, list) and isinstance(here, list):
            for one, other in zip(there, here, strict=False):
                self.learn(one, other)
        elif isinstance(there, str) and isinstance(here, str):
            for one, other in zip(_UUID.findall(there), _UUID.findall(here), strict=False):
                self.known.setdefault(one, other)

    def as_here(self, value):
        text = json.dumps(value, sort_keys=True)
        return json.loads(_UUID.sub(lambda found: self.known.get(found[0], found[0]), text))

    def of_path(self, path):
        unknown = _UUID.search(path)
        if unknown and "vlan_settings" in path:
            self.known.setdefault(unknown[0], self.vlan)
        return self.as_here(path)


def _plain(value):
    """Without what differs from machine to machine."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items() if key not in _VARIES}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return re.sub(r"revision.*|\d{10}\.\d+", "", value) if isinstance(value, str) else value


@pytest.mark.parametrize("release", RELEASES)
def test_each_request_of_a_transcript_is_answered_as_it_was(release):
    firewall = box(release)
    names = Names(firewall.config.load().find("vlans/vlan").get("uuid"))
    wrong, compared = [], 0
    for step in contract(f"opnsense-transcript-{release}.jsonl.gz"):
        if step["step"] in ("setup wizard", "reboot", "firmware reboot"):
            continue
        body, kind = _body(step)
        body = body if isinstance(body, bytes) else names.as_here(body)
        path = names.of_path(step["path"])
        status, answer = ask(firewall, step["method"], path, body, kind)
        names.learn(step["answer"], answer)
        if step["step"] in _EMULATED:
            continue
        compared += 1
        want = _plain(names.as_here(step["answer"]))
        if (status, _plain(answer)) != (step["http"], want):
            told = f"{status} {json.dumps(_plain(answer))[:300]}"
            expected = f"{step['http']} {json.dumps(want)[:300]}"
            wrong.append(f"{step['step']} {path}: {told}\n   not {expected}")
    assert not wrong, "\n".join([f"{len(wrong)} of {compared}", *wrong])
    assert compared > 90
