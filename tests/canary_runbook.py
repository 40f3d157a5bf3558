"""A runbook that is loud about its secrets: hosts print them, and it repeats what they print."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path

from homelab_lib.runbook.resource import Change, Diff
from homelab_lib.runbook.step import Check, Runbook, Step
from homelab_lib.secret import Secret
from homelab_lib.transport.command import change

HOST = "mini"
_WRITE = 'set -e; cat > "$1"; cat "$1"; cat "$1" >&2'


def loud(text: str) -> list[str]:
    """A text in the forms in which programs show it."""
    raw = text.encode()
    return [
        text,
        f"{text!r} {text!a} {raw!r}",
        json.dumps([text]),
        json.dumps({"in": json.dumps(text, ensure_ascii=False)}),
        *(base64.b64encode(b"x" * n + raw + b"yz").decode() for n in range(3)),
        raw.hex(),
        *text.splitlines(),
    ]


@dataclass(frozen=True)
class LoudFile:
    """A file with a secret in it, which is shown wherever there is room."""

    host: str
    path: str
    secret: Secret
    timeout_s: float = 30.0

    @property
    def name(self) -> str:
        return f"loud {self.path}"

    def observe(self, host):
        text = host.read("cat", "--", self.path, ok=(0, 1)).stdout
        return {"text": text, "forms": loud(text)} if text else None

    def diff(self, observed) -> Diff:
        wanted = self.secret.reveal()
        if observed and observed["text"] == wanted:
            return Diff()
        write = change("sh", "-c", _WRITE, "sh", self.path, stdin=self.secret)
        return Diff((Change(f"write {self.path}", write, undo=f"not that: {wanted}"),))


def seen_by_others(canaries: dict[str, str]) -> list[str]:
    """In which processes' command lines and environments a secret stands."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                shown = (process / name).read_bytes()
            except OSError:  # it has ended, or is not ours
                continue
            for scheme, canary in canaries.items():
                given = scheme == "env" and name == "environ"  # the person's own doing
                if not given and any(line.encode() in shown for line in canary.splitlines()):
                    found.append(f"{scheme} in {process.name}/{name}")
    return found


def runbook(references: dict[str, str], seen: Path) -> Runbook:
    """Write the secret behind each reference to a file, look at it, and fail saying it."""

    def ensure(context):
        for scheme, reference in references.items():
            yield LoudFile(HOST, f"/root/canary-{scheme}", context.secret(reference))

    def texts(context):
        return [
            context.host(HOST).read("cat", "--", f"/root/canary-{s}").stdout for s in references
        ]

    def holds(context):
        there = texts(context)
        seen.write_text(json.dumps(seen_by_others(dict(zip(references, there, strict=True)))))
        for text in there:
            yield Check(f"it is there: {text}", True, " ".join(loud(text)))

    holding = iter((True, False))  # in the rehearsal it holds, and then it does not

    def fails(context):
        yield Check(
            "nobody sees it", next(holding), "\n".join(t for x in texts(context) for t in loud(x))
        )

    return Runbook(
        "canary",
        "A canary",
        (
            Step("write", "Write", ensure=ensure, check=holds),
            Step("fail", "Fail", needs=("write",), check=fails),
        ),
    )
