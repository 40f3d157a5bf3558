"""What is wrong with an answer that holds a secret is told without the secret, whatever the reader
complains of."""

import json
import re
import threading
from pathlib import Path

import pytest

from homelab_lib import control
from homelab_lib.control import kubeconfig
from homelab_lib.control.kubernetes.secrets import SecretObject
from homelab_lib.control.truenas.iscsi import chap_login
from homelab_lib.control.truenas.watching import alert_service
from homelab_lib.errors import HomelabError
from homelab_lib.runbook.host import ReadingHost, failed, understanding
from homelab_lib.runbook.patience import Patience
from homelab_lib.secret import MASK, Mask, Secret
from homelab_lib.transport.command import Result, read
from mutations import documents, texts
from runbook.toy import Clock

CANARY = "cAnary/7f3a9b2c+d4e5f6=="
RELEASE = (25, 10)
HELD = Secret("env:HELD", lambda: "what it should be")
SERVERS = f"""\
apiVersion: v1
clusters:
- cluster: {{server: 'https://127.0.0.1:6443'}}
  name: default
users:
- name: default
  user:
    client-key-data: {CANARY}
"""
READERS = {
    "the server's kubeconfig": (
        lambda host: kubeconfig.of_server(host, "home", "192.0.2.1", lab="attic"),
        SERVERS,
    ),
    "a Kubernetes secret": (
        SecretObject("k3s", "attic", "login", "web", {"key": HELD}).observe,
        json.dumps({"key": CANARY, "other": CANARY}),
    ),
    "an alert service": (
        alert_service("nas", "attic", RELEASE, "chat", "Slack", "INFO", {}, {"url": HELD}).observe,
        json.dumps([{"id": 1, "name": "chat; homelab: attic", "level": "INFO", "enabled": True,
                     "attributes": {"type": "Slack", "url": CANARY}}]),
    ),
    "an iSCSI login": (
        chap_login("nas", "attic", RELEASE, 1, "pve", {"secret": HELD}).observe,
        json.dumps([{"id": 1, "tag": 1, "user": "pve", "peeruser": "", "secret": CANARY}]),
    ),
}  # fmt: skip
CUT = re.compile(r"\[(-\d{2,}:|:\d{2,})\]")
"""A part of a text. Of an answer it is `Host.cut`'s to give: no mask finds half of a secret."""
DIGESTS = ("digest", "sha256", "sealed", "before[", "unpacked", "commit", "found[")
BREAKS = ("[", "]", "{", "*", "&", "!", "'", '"', "%", "@", "`", "\t", "\0", "- ", ": ", "\\x")


class Line:
    """A link to a host that answers with this where a secret may be in it; else with its good."""

    def __init__(self, said):
        self.said, self.asked = said, False

    def run(self, host, call):
        self.asked |= call.secret_output
        return Result(0, self.said if call.secret_output else "{}", "")


def _others(good):
    """The answer broken at its beginning, before and within the secret, and in its shape."""
    yield from texts(good)
    for mark in BREAKS:
        yield mark + good
        yield good.replace(CANARY, mark + CANARY)
        yield good.replace(CANARY, CANARY[:9] + mark + CANARY[9:])
        yield good.replace("key", mark + "key")
    if good.startswith(("{", "[")):
        yield from documents(good)


@pytest.mark.parametrize("name", READERS)
def test_the_secret_is_not_in_what_is_said(name):
    read, good = READERS[name]
    told = 0
    for other in [good, *_others(good)]:
        mask, link = Mask(), Line(other)
        host = ReadingHost("box", link, mask, None, str, Patience(Clock(), threading.Event()))
        try:
            understanding(read)(host)
        except HomelabError as error:
            told += 1
            said = mask("\n".join([str(error), *error._render_traceback_()]))
            assert CANARY[:8] not in said, (other, said)
            assert CANARY[9:] not in said, (other, said)
        assert link.asked, "it is known that a secret is in it"
    assert told > 5


def test_no_reader_cuts_what_a_host_has_said_before_it_is_masked():
    for file in sorted(Path(control.__file__).parent.rglob("*.py")):
        for line in file.read_text().splitlines():
            if CUT.search(line):
                assert any(word in line for word in DIGESTS), f"{file.name}: {line.strip()}"


@pytest.mark.parametrize("shown", ["stderr", "stdout"])
def test_of_a_command_that_fails_no_half_of_a_secret_is_shown(shown):
    """Of a long answer the end is shown: the secret stands where that begins."""
    mask = Mask()
    mask.learn([CANARY])
    for after in range(1980, 2001):
        printed = {"stdout": "", "stderr": ""} | {shown: CANARY + "y" * after}
        error = str(failed("box", read("cat", "x"), Result(1, **printed), mask))
        assert not any(CANARY[at : at + 6] in error for at in range(len(CANARY) - 5))


def test_of_what_a_reader_shows_neither():
    mask = Mask()
    mask.learn([CANARY])
    host = ReadingHost("box", Line(""), mask, None, str, Patience(Clock(), threading.Event()))
    for many in range(280, 300):
        assert host.cut("x" * many + CANARY, 300).strip("x") == MASK
        assert host.cut(CANARY + "x" * many, 300, end=True).strip("x") == MASK
