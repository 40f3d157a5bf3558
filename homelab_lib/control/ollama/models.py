"""Models of an Ollama server: pulled with the digest that the lab knows, loaded, and asked.

Sources: ollama/ollama server/routes.go (a request without a prompt loads a model; a negative
``keep_alive`` keeps it), types/model/name.go (a name can't carry a digest, so that it is compared
afterwards).
"""

import json
from dataclasses import dataclass
from typing import Any

from homelab_lib import answers
from homelab_lib.answers import Shape
from homelab_lib.control.linux import read_file
from homelab_lib.control.ollama.api import LOADED, TAGS, ask, post, post_and_keep
from homelab_lib.runbook.resource import Change, Diff, Host

_ANSWER: Shape = {
    "model": str,
    "response?": str,
    "embeddings?": [[(int, float)]],
    "eval_count?": int,
    "eval_duration?": int,
    "prompt_eval_count?": int,
    "prompt_eval_duration?": int,
    "load_duration?": int,
}
_VERSION: Shape = {"version": str}


@dataclass(frozen=True)
class ServerUp:
    """A server that answers, of one release.

    Parameters
    ----------
    host, url
        The machine that asks, and the server.
    version
        Its release.
    """

    host: str
    url: str
    version: str
    timeout_s: float = 600.0

    @property
    def name(self) -> str:
        return f"Ollama at {self.url}"

    def observe(self, host: Host) -> str:
        said = ask(host, self.url, "/api/version", _VERSION)
        return str(said["version"]) if said else ""

    def diff(self, observed: str) -> Diff:
        if not observed:
            return Diff(waiting=f"nothing answers at {self.url} yet")
        if observed != self.version:
            return Diff(
                conflict=f"{self.url} is Ollama {observed}, and the lab has {self.version}: put "
                "the newer one into the lab, or take the other away by hand"
            )
        return Diff()


@dataclass(frozen=True)
class Pulled:
    """A model that a server has, with the digest that the lab knows.

    Parameters
    ----------
    host, url
        The machine that asks, and the server.
    tag, digest
        The model, and the SHA-256 of its manifest.
    size_bytes
        What is about to be downloaded [bytes].
    """

    host: str
    url: str
    tag: str
    digest: str
    size_bytes: int
    timeout_s: float = 4 * 3600.0

    @property
    def name(self) -> str:
        return f"model {self.tag} at {self.url}"

    def observe(self, host: Host) -> dict[str, Any]:
        said = ask(host, self.url, "/api/tags", TAGS)
        rows = {row["name"]: row for row in said["models"]} if said else {}
        return {"up": said is not None, "digest": rows.get(self.tag, {}).get("digest", "")}

    def diff(self, observed: dict[str, Any]) -> Diff:
        if not observed["up"]:
            return Diff(waiting=f"nothing answers at {self.url} yet")
        there = observed["digest"].removeprefix("sha256:")
        if there == self.digest:
            return Diff()
        if there:
            return Diff(
                conflict=f"{self.tag} at {self.url} has digest {there[:12]}, and the lab has "
                f"{self.digest[:12]}: the tag has been given to another model, or somebody has "
                "made one of that name. If you trust it, write its digest into the lab; else take "
                f"it away by hand: ollama rm {self.tag}"
            )
        call = post(self.url, "/api/pull", {"model": self.tag, "stream": False}, self.timeout_s)
        what = f"pull {self.tag}, {self.size_bytes / 1e9:.1f} GB, to {self.url}"
        return Diff((Change(what, call, undo=f"ollama rm {self.tag}", detached=True),))


@dataclass(frozen=True)
class Loaded:
    """A model that is in memory, with its context.

    Parameters
    ----------
    host, url, tag
        The machine that asks, the server, and the model.
    context_tokens
        The context that each request has [tokens].
    embeds
        Whether it is one that embeds texts.
    parallel
        How many requests at a time: some releases tell the context of all of them.
    """

    host: str
    url: str
    tag: str
    context_tokens: int
    embeds: bool = False
    parallel: int = 1
    timeout_s: float = 900.0

    @property
    def name(self) -> str:
        return f"model {self.tag} in memory at {self.url}"

    def observe(self, host: Host) -> dict[str, Any]:
        said = ask(host, self.url, "/api/ps", LOADED)
        rows = {row["name"]: row for row in said["models"]} if said else {}
        row = rows.get(self.tag)
        facts: dict[str, Any] = {"up": said is not None, "loaded": row is not None}
        if row is not None:
            facts["context"] = row.get("context_length", self.context_tokens)
        return facts

    def diff(self, observed: dict[str, Any]) -> Diff:
        if not observed["up"]:
            return Diff(waiting=f"nothing answers at {self.url} yet")
        if observed["loaded"]:
            if observed["context"] in (self.context_tokens, self.context_tokens * self.parallel):
                return Diff()
            return Diff(
                conflict=f"{self.tag} at {self.url} runs with {observed['context']} tokens, and "
                f"the lab has {self.context_tokens}: the server was told otherwise; see its "
                "OLLAMA_CONTEXT_LENGTH"
            )
        path, body = "/api/generate", {"model": self.tag, "stream": False}
        if self.embeds:
            path, body = "/api/embed", {"model": self.tag, "input": ""}
        call = post(self.url, path, body, self.timeout_s)
        what = f"load {self.tag} at {self.url}"
        return Diff((Change(what, call, undo=f"ollama stop {self.tag}", detached=True),))


@dataclass(frozen=True)
class Asked:
    """A model that was asked once, its answer kept: for the numbers in it.

    Parameters
    ----------
    host, url, tag, digest
        The machine that asks, the server, the model, and which one of that name.
    path, body
        What is asked: ``/api/generate`` and a JSON object as text.
    keep
        The file that the answer is kept in, on the machine that asks.
    """

    host: str
    url: str
    tag: str
    digest: str
    path: str
    body: str
    keep: str
    timeout_s: float = 900.0

    @property
    def name(self) -> str:
        return f"answer of {self.tag} at {self.url}"

    @property
    def _file(self) -> str:
        return f"{self.keep}-{self.digest[:12]}.json"

    def observe(self, host: Host) -> bool:
        return bool(read_file(host, self._file).strip())

    def diff(self, observed: bool) -> Diff:
        if observed:
            return Diff()
        body = json.loads(self.body) | {"model": self.tag}
        call = post_and_keep(self.url, self.path, body, self._file, self.timeout_s)
        what = f"ask {self.tag} at {self.url}, and keep the answer in {self._file}"
        return Diff((Change(what, call, undo=f"rm {self._file}", detached=True),))

    def answer(self, host: Host) -> dict[str, Any]:
        """What it said.

        Raises
        ------
        NotUnderstood
            That is no answer of Ollama's.
        """
        text = read_file(host, self._file)
        found: dict[str, Any] = answers.understood(
            text, _ANSWER, host=host.name, line=f"cat {self._file}"
        )
        return found
