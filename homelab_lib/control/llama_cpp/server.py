"""llama.cpp's server as a service: that it is up with its model, that it was asked, and whether a
machine's port is open to another.

Its ``/health`` says ``ok`` as long as it runs, also when a machine whose cards it uses is gone: it
ends with the next question. So a question is what proves it.

Sources: llama.cpp tools/server/README.md, ggml/src/ggml-rpc; outputs of a build that ran
(tests/control/llama_cpp). curl(1).
"""

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from homelab_lib import answers
from homelab_lib.answers import Shape
from homelab_lib.control.linux import read_file
from homelab_lib.control.llama_cpp.log import ended_by
from homelab_lib.control.ollama.api import ask, post_and_keep
from homelab_lib.runbook.resource import Change, Diff, Host

_LINES = "2000"
_PROPS: Shape = {
    "build_info": str,
    "model_path": str,
    "total_slots": int,
    "default_generation_settings": {"n_ctx": int},
}
_HEALTH: Shape = {"status": str}
_ANSWER: Shape = {
    "content": str,
    "timings": {"predicted_n": int, "predicted_ms": (int, float), "prompt_n": int},
}
_CONNECTED = (52, 56)
"""How curl ends where who took the connection hangs up: an RPC server, asked as a web server."""
_TIMED_OUT = 28
_PROBE_S = 4


def journal(host: Host, unit: str) -> str:
    """The last lines of a service in its machine's journal."""
    words = ("journalctl", "-u", unit, "-o", "cat", "-n", _LINES, "--no-pager")
    return host.read(*words, sudo=True).stdout


def reaches(host: Host, address: str, port: int) -> tuple[bool, str]:
    """Whether a machine gets a connection to a port, and what was said.

    Parameters
    ----------
    host
        The machine that tries.
    address, port
        Where to. An RPC server that serves somebody takes the connection, and lets it wait.
    """
    words = ("curl", "-sS", "--connect-timeout", str(_PROBE_S), "-m", str(2 * _PROBE_S))
    said = host.read(*words, f"http://{address}:{port}/", ok=None, timeout_s=60.0)
    words_said = host.cut((said.stderr.strip().splitlines() or ["it answers"])[-1], 160)
    waits = said.exit_status == _TIMED_OUT and "bytes received" in said.stderr
    return said.exit_status in (0, *_CONNECTED) or waits, words_said


@dataclass(frozen=True)
class PoolUp:
    """A server that has loaded its model, of one release.

    Parameters
    ----------
    host, url, unit
        Its machine, where it answers there, and its service.
    release
        Such as ``b10827``.
    path, slots, context_tokens
        The file that it has loaded, how many requests it takes at once, and the context of each
        [tokens].
    timeout_s
        How long loading may take [s].
    """

    looks_at: ClassVar[str] = "runs"
    host: str
    url: str
    unit: str
    release: str
    path: str
    slots: int
    context_tokens: int
    timeout_s: float

    @property
    def name(self) -> str:
        return f"llama-server at {self.url}"

    def observe(self, host: Host) -> dict[str, Any]:
        """What it says of itself; where it says nothing, why, by its log."""
        if ask(host, self.url, "/health", _HEALTH) is None:
            return {"up": False, "ended": ended_by(journal(host, self.unit))}
        said = ask(host, self.url, "/props", _PROPS)
        if said is None:
            return {"up": False, "ended": ""}
        return {
            "up": True,
            "release": said["build_info"].partition("-")[0],
            "path": said["model_path"],
            "slots": said["total_slots"],
            "context": said["default_generation_settings"]["n_ctx"],
        }

    def diff(self, observed: dict[str, Any]) -> Diff:
        if not observed["up"]:
            why = f"; its log: {observed['ended']}" if observed["ended"] else ""
            if "mismatch" in why or "handshake" in why:
                return Diff(
                    conflict=f"{self.unit} does not speak with a machine of another release{why}; "
                    "see which llama.cpp listens there"
                )
            return Diff(waiting=f"{self.url} does not answer yet{why}")
        wanted = {
            "release": self.release,
            "path": self.path,
            "slots": self.slots,
            "context": self.context_tokens,
        }
        other = {key: observed[key] for key in wanted if observed[key] != wanted[key]}
        if other:
            found = ", ".join(f"{key} {value}, not {wanted[key]}" for key, value in other.items())
            return Diff(
                conflict=f"another server answers at {self.url}, or this one was told otherwise: "
                f"{found}; see systemctl status {self.unit}"
            )
        return Diff()


@dataclass(frozen=True)
class PoolAsked:
    """A server that was asked once, its answer kept: for the numbers in it.

    Parameters
    ----------
    host, url
        Its machine, and where it answers there.
    body
        The request to ``/completion``, a JSON object as text.
    keep
        The file that the answer is kept in.
    """

    host: str
    url: str
    body: str
    keep: str
    timeout_s: float = 1800.0

    @property
    def name(self) -> str:
        return f"answer of llama-server at {self.url}"

    def observe(self, host: Host) -> bool:
        return bool(read_file(host, self.keep).strip())

    def diff(self, observed: bool) -> Diff:
        if observed:
            return Diff()
        call = post_and_keep(
            self.url, "/completion", json.loads(self.body), self.keep, self.timeout_s
        )
        what = f"ask llama-server at {self.url}, and keep the answer in {self.keep}"
        return Diff((Change(what, call, undo=f"rm {self.keep}", detached=True),))

    def answer(self, host: Host) -> dict[str, Any]:
        """What it said.

        Raises
        ------
        NotUnderstood
            That is no answer of llama-server's.
        """
        text = read_file(host, self.keep)
        found: dict[str, Any] = answers.understood(
            text, _ANSWER, host=host.name, line=f"cat {self.keep}"
        )
        return found
