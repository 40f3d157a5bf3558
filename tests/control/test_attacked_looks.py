"""What looks read besides resources: whatever is answered, it is understood, or one line names the
host and the command."""

import json
import random
import threading

import pytest

from homelab_lib.control.haproxy.status import servers
from homelab_lib.control.haproxy.trial import Tried
from homelab_lib.control.kubernetes.claim_drill import place_of
from homelab_lib.control.kubernetes.containers import sights
from homelab_lib.control.kubernetes.etcd import newest_snapshot
from homelab_lib.control.kubernetes.gitops import KUSTOMIZATION, SOURCE, gave_up, pods
from homelab_lib.control.linux.card_memory import nvidia_memory
from homelab_lib.control.linux.drills import last_drill
from homelab_lib.control.linux.fetched import age_s, pin_of
from homelab_lib.control.linux.restic import Access, locks, newest
from homelab_lib.control.ollama.api import ask
from homelab_lib.control.open_webui.api import BehindLogin, Place, knocks
from homelab_lib.control.open_webui.documents import DocumentAsked
from homelab_lib.control.proxmox.backups import newest_backups
from homelab_lib.control.truenas.smart import look_at_health
from homelab_lib.control.truenas.ups import driver_of, readings
from homelab_lib.errors import HomelabError
from homelab_lib.runbook.host import ReadingHost, understanding
from homelab_lib.runbook.patience import Patience
from homelab_lib.secret import Mask, Secret
from homelab_lib.transport.command import Result
from homelab_lib.twin.machine.certificates import drawn, issued
from mutations import documents, texts
from runbook.toy import Clock

FEWEST = 40  # of the changes of an answer, drawn anew for each

WEBUI = Place("ai", "open-webui", 80)
TRIED = Tried("nas", "ollama", "chat", 11500, "llama", "http://x", "http://x/;csv", "/kept")
ASKED = DocumentAsked(
    "k3s", WEBUI, "a@b.c", Secret("env:X", str), "a.txt", "text", "what", "embeds", "llm", "/kept"
)
CSV = "# pxname,svname,status,stot,\nchat,FRONTEND,OPEN,9,\nchat,red,UP,7,\nchat,blue,DOWN,,\n"
GPU_POD = {
    "metadata": {"name": "llm", "namespace": "ai", "uid": "1"},
    "spec": {"nodeName": "w", "containers": [{"resources": {"limits": {"nvidia.com/gpu": "1"}}}]},
    "status": {"phase": "Running"},
}
KEPT = {
    "metadata": {"name": "homelab", "namespace": "flux-system"},
    "spec": {"suspend": False, "interval": "10m0s"},
    "status": {
        "conditions": [
            {
                "type": "Ready",
                "status": "False",
                "message": "no",
                "lastTransitionTime": "2026-08-29T10:40:00Z",
            }
        ],
        "history": [{"lastReconciled": "2026-08-29T10:50:00Z"}],
    },
}
SNAPSHOT = {"spec": {"snapshotName": "s", "location": "file:///x"},
            "status": {"creationTime": "2026-09-01T01:02:03Z", "readyToUse": True}}  # fmt: skip
DRIVES = {"smart_status": {"passed": True},
          "ata_smart_self_test_log": {"standard": {"table": [
              {"type": {"string": "Extended offline"}, "status": {"passed": True}}]}}}  # fmt: skip
BACKUP = {"volid": "nas:backup/vzdump-qemu-201.vma.zst", "vmid": 201, "ctime": 1788000000,
          "verification": {"state": "ok"}, "encrypted": "x", "content": "backup"}  # fmt: skip
ANSWER = {
    "passage": {"documents": [["text"]]},
    "answer": {"choices": [{"message": {"content": "y"}}]},
}

VOLUME = {
    "spec": {
        "volumeName": "v", "accessModes": ["ReadWriteOnce"], "storageClassName": "local-path",
        "resources": {"requests": {"storage": "1Gi"}}, "hostPath": {"path": "/x/pvc-1_ai_rows"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
            {"key": "kubernetes.io/hostname", "operator": "In", "values": ["w"]}]}]}},
    }
}  # fmt: skip
CERTIFICATE = "HTTP/1.1 200\n\nSubject:CN = x\n" + (
    issued(["x"], drawn("x"), None, now_s=1788000000, valid_s=86400).pem
)
RELEASES = "helmreleases.helm.toolkit.fluxcd.io"
COPY = {"time": "2026-09-01T01:02:03Z", "hostname": "h", "tags": ["homelab:x"], "paths": ["/etc"],
        "id": "a" * 64, "short_id": "a" * 8}  # fmt: skip

LOOKS = {
    "haproxy": (lambda host: servers(host, "http://x/;csv"), {"curl": CSV}),
    "haproxy-trial": (TRIED.told, {"cat": f"== before\n{CSV}== answers\n200\n== after\n{CSV}"}),
    "webui-login": (
        lambda host: BehindLogin("k3s", WEBUI).observe(host),
        {"curl": {"version": "0.11", "features": {"auth": True, "enable_signup": False}},
         "k3s": {"kind": "Service", "spec": {"clusterIP": "10.43.0.9"}}},
    ),
    "webui-knocks": (lambda host: knocks(host, "http://x"), {"curl": '{"detail":"no"} 401'}),
    "webui-document": (ASKED.told, {"cat": ANSWER}),
    "ollama": (lambda host: ask(host, "http://x", "/api/version", {"version": str}),
               {"curl": {"version": "0.11"}}),
    "cards-in-pods": (lambda host: list(sights(host)), {"k3s": {"items": [GPU_POD]}}),
    "pods": (pods, {"k3s": {"items": [GPU_POD]}}),
    "flux": (
        gave_up,
        {"customresourcedefinition": {"metadata": {"name": "x"}}, "date": "1788000000\n",
         **{kind: {"items": [KEPT]} for kind in (SOURCE, KUSTOMIZATION, RELEASES)}},
    ),
    "etcd": (lambda host: newest_snapshot(host, 0.0), {"k3s": {"items": [SNAPSHOT]}}),
    "smart": (lambda host: look_at_health(host, "sda"), {"smartctl": DRIVES}),
    "ups": (lambda host: readings(host, "ups"), {"upsc": "ups.status: OL\nups.load: 18\n"}),
    "ups-driver": (lambda host: driver_of(host, "usbhid-ups", "Back-UPS"),
                   {"midclt": {"usbhid-ups$(various)": "APC ups USB (usbhid-ups)"}}),
    "backups": (lambda host: newest_backups(host, "pve", "nas", 0.0), {"pvesh": [BACKUP]}),
    "drill": (lambda host: last_drill(host, "all"), {"cat": "1788000000 a1b2\nsame /etc/a\n"}),
    "restic": (lambda host: newest(host, Access("b2"), "homelab:x", 0.0), {"snapshots": [COPY]}),
    "restic-locks": (
        lambda host: locks(host, Access("b2")),
        {"list": "a" * 64 + "\n", "date": "1788000000\n",
         "cat": {"time": "2026-09-01T01:02:03.123456789Z", "hostname": "h", "pid": 7,
                 "exclusive": False}},
    ),
    "claim": (lambda host: place_of(host, "ai", "rows"), {"k3s": VOLUME}),
    "fetched": (
        lambda host: age_s(host, "/x.xml"),
        {"stat": "41ed|755|root|root|4096|/\0" "8180|600|root|root|9|/x.xml\0",
         "sha256sum": f"{'a' * 64}  /x.xml\0", "cat": "1788000000\n", "date": "1788000500\n"},
    ),
    "pin": (lambda host: pin_of(host, 443), {"curl": CERTIFICATE}),
    "nvidia": (nvidia_memory, {"nvidia-smi": "0, NVIDIA L4, 00000000:01:00.0, 23034, 1\n"}),
}  # fmt: skip


class Line:
    """A link to a host that answers a program with what is written down for it."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = set()

    def run(self, host, call):
        words = [word.rpartition("/")[2] for word in call.argv]
        self.asked |= self.answers.keys() & set(words)
        said = next((self.answers[name] for name in self.answers if name in words), "")
        return Result(0, said if isinstance(said, str) else json.dumps(said), "")


def looked(look, answers):
    """What a look makes of answers, as the engine has it; or what it could not read."""
    link = Line(answers)
    host = ReadingHost("box", link, Mask(), None, str, Patience(Clock(), threading.Event()))
    try:
        understanding(look)(host)
    except HomelabError as error:
        return error, link
    return None, link


@pytest.mark.parametrize("name", LOOKS)
def test_an_answer_of_another_shape_is_one_clear_line(name):
    look, answers = LOOKS[name]
    rng = random.Random(name)
    error, link = looked(look, answers)
    assert error is None, "what is as it should be is understood"
    assert link.asked >= answers.keys()
    for program, good in answers.items():
        whole = good if isinstance(good, str) else json.dumps(good)
        others = [*texts(whole), "a," * 70_000, "\n".join([whole] * 50)]
        if not isinstance(good, str):
            changed = list(documents(whole))
            others += rng.sample(changed, min(len(changed), FEWEST))
        for other in others:
            error, _ = looked(look, answers | {program: other})
            if error is not None:
                assert "box" in str(error), other[:80]
                assert len(error.what) < 2000, other[:80]
