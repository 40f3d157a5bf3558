"""Ollama: a server of language models for the cards that it sees, and a processor for the rest.

Sources: ollama/ollama docs/api.md; server/routes.go, server/sched.go, discover/ and
llm/llama_server.go of 0.32 (context by the memory of all cards, ROCm targets that are left out,
``size`` that is set to ``size_vram`` where all layers are on cards, a pull that fails with 500);
llama.cpp src/llama-model.cpp (the lines about layers and buffers).
"""

import ipaddress
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from homelab_lib.lab.devices import GpuPart
from homelab_lib.models.vram import decode_tokens_per_second, split_layers
from homelab_lib.twin.machine.bus import Function
from homelab_lib.twin.machine.graphics_drivers import holds_already, take, total_bytes, used_bytes
from homelab_lib.twin.machine.keep_alive import DEFAULT, kept_s
from homelab_lib.twin.machine.language import embedding, quoted
from homelab_lib.twin.machine.llama_log import buffers
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.ollama_library import Published, library_of
from homelab_lib.twin.machine.surroundings import BODY, FROM, METHOD, Answer, NetError
from homelab_lib.wiring.serving import Run, buffer_bytes, cache_bytes, weights

_MIB = 2**20
_GIB = 2**30
_ROCM_TARGETS = {"gfx1030", "gfx1100", "gfx1101", "gfx1102", "gfx1200", "gfx1201"}
_OVERHEAD_BYTES = {"CUDA": 438 * _MIB, "ROCm": 612 * _MIB, "Vulkan": 356 * _MIB}
_CONTEXT_BY_ROOM = ((47 * _GIB, 262144), (23 * _GIB, 32768), (0, 4096))
_DRAM_BPS = 65e9
_EFFICIENCY = 0.62
_LOAD_BPS = 2.2e9
_EMBEDDED_S = 0.05
_FAR_S = 10_988_052_000.0
"""As Ollama writes the end of what stays for ever: in some hundred years [s since 1970]."""


@dataclass
class Seen:
    """What a server found to compute with.

    Parameters
    ----------
    library
        ``CUDA``, ``ROCm``, ``Vulkan`` or ``cpu``.
    card, part
        The card; None for the processor alone.
    said
        What it says of a card that it leaves out.
    """

    library: str = "cpu"
    card: Function | None = None
    part: GpuPart | None = None
    said: str = ""


def discover(
    cards: Sequence[tuple[Function, GpuPart]], built: Sequence[str], env: Mapping[str, str]
) -> Seen:
    """What a server finds: its build has so many runtimes, and a card may be none of its targets.

    Parameters
    ----------
    cards
        What is visible to it.
    built
        The runtimes that it was built with, in the order in which it tries them.
    env
        Its environment.
    """
    for card, part in cards:
        for runtime in built:
            if runtime == "CUDA" and part.vendor == "NVIDIA":
                return Seen("CUDA", card, part)
            if runtime == "ROCm" and part.vendor == "AMD":
                target = part.architecture or ""
                if version := env.get("HSA_OVERRIDE_GFX_VERSION"):
                    major, *rest = version.split(".")
                    target = f"gfx{major}" + "".join(f"{int(each):x}" for each in rest)
                if target not in _ROCM_TARGETS:
                    words = "dropping ROCm device — no rocblas support for gfx target"
                    return Seen(said=f'level=WARN msg="{words}" gfx={target}')
                return Seen("ROCm", card, part)
            if runtime == "Vulkan":
                return Seen("Vulkan", card, part)
    return Seen()


@dataclass
class Server:
    """One server.

    Parameters
    ----------
    machine, name
        Where it runs, and what it is called there.
    version
        Its release.
    env
        Its environment.
    seen
        What it computes with.
    store
        The digests of the models that it has, by tag; it outlives the server.
    say
        Takes a line of its log.
    """

    machine: Machine
    name: str
    version: str
    env: Mapping[str, str]
    seen: Seen
    store: dict[str, str]
    say: Callable[[str], None]
    loaded: dict[str, dict[str, int]] = field(default_factory=dict)
    runs_already: bool = False  # the real one behind it has said what it found long ago
    until: dict[str, float] = field(default_factory=dict)  # when each is unloaded; others stay

    def __post_init__(self) -> None:
        if self.runs_already:
            over = _OVERHEAD_BYTES.get(self.seen.library, 0)
            for tag, held in self.loaded.items():
                if self.seen.card is not None and held["size_vram"]:
                    size = held["size_vram"] + over
                    holds_already(self.machine, self.seen.card, f"{self.name}/{tag}", size)
            return
        if self.seen.said:
            self.say(self.seen.said)
        part, library = self.seen.part, self.seen.library
        title = part.title if part else "cpu"
        room = f"{total_bytes(part) / _GIB:.1f} GiB" if part else "31.0 GiB"
        self.say(
            f'level=INFO source=types.go:42 msg="inference compute" id=0 library={library} '
            f'compute="" name={library}0 description="{title}" total="{room}"'
        )

    def stop(self) -> None:
        """It ends; what it had in memory is free."""
        for tag in list(self.loaded):
            self._unload(tag)

    def __call__(self, path: str, headers: Mapping[str, str]) -> Answer:
        """What it says to a request; one of its own machine's tells only hosts of known names."""
        if self._is_local:
            if headers.get(FROM) not in ("127.0.0.1", self.machine.address, None):
                raise NetError(7, "Connection refused")
            if not _is_allowed(headers.get("host", "")):
                return 403, b"", 0.0
        return self.answer(headers.get(METHOD, "GET"), path, headers.get(BODY, ""))

    @property
    def _is_local(self) -> bool:
        return self.env.get("OLLAMA_HOST", "").startswith(("127.", "localhost"))

    def answer(self, method: str, path: str, body: str) -> Answer:
        """The same of a method, a path and a body."""
        if (method, path) == ("GET", "/"):
            return 200, b"Ollama is running", 0.0
        if (method, path) == ("GET", "/api/version"):
            return _json({"version": self.version})
        if (method, path) == ("GET", "/api/tags"):
            known = library_of(self.machine)
            rows = [self._row(tag) for tag in reversed(self.store) if tag in known]
            return _json({"models": rows})
        if (method, path) == ("GET", "/api/ps"):
            return _json({"models": [self._process(tag) for tag in self.loaded]})
        calls = {
            "/api/pull": self._pull,
            "/api/show": self._show,
            "/api/generate": self._generate,
            "/api/chat": self._chat,
            "/api/embed": self._embed,
        }
        if method != "POST" or path not in calls:
            return 404, b"404 page not found", 0.0
        try:
            asked = json.loads(body or "{}")
        except ValueError:
            return _json({"error": "invalid character in request body"}, 400)
        tag = str(asked.get("model", ""))
        asked["model"] = tag if ":" in tag else f"{tag}:latest"
        answer = calls[path](asked)
        if asked["model"] in self.loaded and path != "/api/show":
            self._keep(asked["model"], asked, answer[2])
        return answer

    # --------------------------------------------------------------------- models

    def _row(self, tag: str) -> dict[str, Any]:
        known = library_of(self.machine)[tag]
        return {
            "name": tag,
            "model": tag,
            "modified_at": "2026-11-26T12:00:00Z",
            "size": known.size_bytes,
            "digest": self.store[tag],
            "details": {
                "format": "gguf",
                "family": known.part.architecture,
                "parameter_size": f"{known.part.parameters / 1e9:.1f}B",
                "quantization_level": known.quant,
                "context_length": known.part.context_length,
                "embedding_length": known.part.n_embd,
            },
            "capabilities": ["embedding" if known.part.purpose == "embedding" else "completion"],
        }

    def _pull(self, asked: dict[str, Any]) -> Answer:
        tag = asked["model"]
        if why := self.machine.world.internet(self.machine):
            return _json({"error": f"pull model manifest: dial tcp: lookup: {why}"}, 500)
        known = library_of(self.machine).get(tag)
        if known is None:
            return _json({"error": "pull model manifest: file does not exist"}, 500)
        takes_s = known.size_bytes / self.machine.world.internet_bytes_per_s
        if self.store.get(tag) == known.digest:
            return _json({"status": "success"})

        def there() -> None:
            self.store[tag] = known.digest

        self.machine.world.after(takes_s, there, label=f"pull of {tag}")
        return *_json({"status": "success"})[:2], takes_s

    def _show(self, asked: dict[str, Any]) -> Answer:
        if asked["model"] not in self.store:
            return _missing(asked["model"])
        return _json({"details": self._row(asked["model"])["details"]})

    # --------------------------------------------------------------------- memory

    def _run(self, known: Published) -> Run:
        room = total_bytes(self.seen.part) if self.seen.part else 0
        guess = next(tokens for least, tokens in _CONTEXT_BY_ROOM if room >= least)
        context = int(self.env.get("OLLAMA_CONTEXT_LENGTH") or guess)
        slots = int(self.env.get("OLLAMA_NUM_PARALLEL") or 1)
        if known.part.purpose == "embedding":
            context, slots = min(context, known.part.context_length), 1
        flash = self.env.get("OLLAMA_FLASH_ATTENTION", "1") != "0"
        kind = self.env.get("OLLAMA_KV_CACHE_TYPE", "f16") if flash else "f16"
        return Run(context * slots, slots=slots, cache_type=kind, flash_attention=flash)

    def _load(self, tag: str) -> float:
        """Bring a model into memory; how long it takes [s]."""
        if tag in self.loaded:
            return 0.0
        known = library_of(self.machine)[tag]
        run, part = self._run(known), known.part
        most = int(self.env.get("OLLAMA_MAX_LOADED_MODELS") or 3)
        while len(self.loaded) >= most:
            self._unload(next(iter(self.loaded)))
        found = weights(part, known.quant)
        cache = int(cache_bytes(part, run))
        buffer = int(buffer_bytes(part, run))
        layers, size = 0, 0
        whole = found.card_bytes + cache + buffer
        if self.seen.card is not None and self.seen.part is not None:
            over = _OVERHEAD_BYTES[self.seen.library]
            total = total_bytes(self.seen.part)
            free = total - used_bytes(self.machine, self.seen.card, self.seen.part)
            each = cache // part.n_layer
            (layers,) = split_layers(
                [layer + each for layer in found.layer_bytes],
                [free],
                reserve_bytes=[over + buffer],
                output_bytes=found.output_bytes,
            )
            taken = sum(found.layer_bytes[:layers]) + each * layers
            all_there = layers == part.n_layer
            size = taken + buffer + over + (found.output_bytes if all_there else 0)
            if not layers:
                size = 0
            take(self.machine, self.seen.card, self.seen.part, f"{self.name}/{tag}", size)
        on_card = part.n_layer + 1 if layers == part.n_layer else layers
        self.say(f"load_tensors: offloaded {on_card}/{part.n_layer + 1} layers to GPU")
        all_there = on_card == part.n_layer + 1
        on_card_bytes = {
            "model": sum(found.layer_bytes[:layers]) + (found.output_bytes if all_there else 0),
            "KV": cache // part.n_layer * layers,
            "compute": buffer if layers else 0,
        }
        whole_bytes = {"model": found.file_bytes, "KV": cache, "compute": buffer}
        for line in buffers(f"{self.seen.library}0", on_card_bytes, whole_bytes, run.cache_type):
            self.say(line)
        vram = max(size - _OVERHEAD_BYTES.get(self.seen.library, 0), 0)
        self.loaded[tag] = {
            "size": vram if all_there else whole,
            "size_vram": vram,
            "context": int(run.tokens) // run.slots,
            "layers": layers,
        }
        return found.file_bytes / _LOAD_BPS

    def _keep(self, tag: str, asked: Mapping[str, Any], takes_s: float) -> None:
        """It stays for a while after its last request, which may say how long."""
        told = asked.get("keep_alive", self.env.get("OLLAMA_KEEP_ALIVE") or DEFAULT)
        world, last_s = self.machine.world, takes_s + kept_s(told)
        self.until[tag] = world.clock.now() + last_s
        if math.isfinite(last_s):
            world.after(last_s, lambda: self._end(tag), label=f"end of {tag}")

    def _end(self, tag: str) -> None:
        if tag in self.loaded and self.machine.world.clock.now() >= self.until[tag]:
            self._unload(tag)

    def _unload(self, tag: str) -> None:
        del self.loaded[tag]
        self.until.pop(tag, None)
        if self.seen.card is not None and self.seen.part is not None:
            who = f"{self.name}/{tag}"
            if who in self.machine.kept.get("vram", {}).get(self.seen.card.slot, {}):
                take(self.machine, self.seen.card, self.seen.part, who, 0)

    def _process(self, tag: str) -> dict[str, Any]:
        held = self.loaded[tag]
        row, ends_s = self._row(tag), self.until.get(tag, math.inf)
        ends = datetime.fromtimestamp(min(ends_s, _FAR_S), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {key: row[key] for key in ("name", "model", "digest", "details")} | {
            "size": held["size"],
            "size_vram": held["size_vram"],
            "context_length": held["context"],
            "expires_at": ends,
        }

    # ------------------------------------------------------------------ inference

    def _generate(self, asked: dict[str, Any]) -> Answer:
        tag = asked["model"]
        if tag not in self.store:
            return _missing(tag)
        known = library_of(self.machine)[tag]
        if known.part.purpose == "embedding":
            return _json({"error": f'"{tag}" does not support generate'}, 400)
        load_s = self._load(tag)
        said: dict[str, Any] = {"model": tag, "created_at": "2026-11-26T12:00:00Z", "done": True}
        if not asked.get("prompt"):
            return *_json(said | {"response": "", "done_reason": "load"})[:2], load_s
        count = int((asked.get("options") or {}).get("num_predict") or 256)
        rate = self._rate(known, self.loaded[tag]["layers"])
        words = ("one, two, three, four, five, six, seven, eight, nine, ten, " * 30).split()
        told = said | {
            "response": " ".join(words[:count]),
            "done_reason": "length",
            "load_duration": int(load_s * 1e9),
            "prompt_eval_count": len(str(asked["prompt"]).split()) + 12,
            "prompt_eval_duration": 90_000_000,
            "eval_count": count,
            "eval_duration": int(count / rate * 1e9),
            "total_duration": int((load_s + 0.09 + count / rate) * 1e9),
        }
        return *_json(told)[:2], load_s + count / rate

    def _chat(self, asked: dict[str, Any]) -> Answer:
        tag = asked["model"]
        if tag not in self.store:
            return _missing(tag)
        known = library_of(self.machine)[tag]
        if known.part.purpose == "embedding":
            return _json({"error": f'"{tag}" does not support chat'}, 400)
        load_s = self._load(tag)
        said: dict[str, Any] = {"model": tag, "created_at": "2026-11-26T12:00:00Z", "done": True}
        messages = asked.get("messages") or []
        if not messages:
            message = {"role": "assistant", "content": ""}
            return *_json(said | {"message": message, "done_reason": "load"})[:2], load_s
        content = quoted(str(messages[-1].get("content", "")))
        count = len(content.split())
        takes_s = load_s + count / self._rate(known, self.loaded[tag]["layers"])
        told = said | {
            "message": {"role": "assistant", "content": content},
            "done_reason": "stop",
            "eval_count": count,
            "total_duration": int(takes_s * 1e9),
        }
        return *_json(told)[:2], takes_s

    def _rate(self, known: Published, layers: int) -> float:
        """Tokens a second: what the card reaches of its bandwidth, and memory for the rest."""
        found = weights(known.part, known.quant)
        sizes = [float(sum(found.active_bytes[:layers])), float(sum(found.active_bytes[layers:]))]
        whole = layers == known.part.n_layer
        sizes[0 if whole else 1] += found.output_bytes
        part = self.seen.part
        card = float((part.memory_bytes_per_s if part else None) or _DRAM_BPS)
        return decode_tokens_per_second(sizes, [card * _EFFICIENCY, _DRAM_BPS])

    def _embed(self, asked: dict[str, Any]) -> Answer:
        tag = asked["model"]
        if tag not in self.store:
            return _missing(tag)
        load_s = self._load(tag)
        texts = asked.get("input", "")
        texts = [texts] if isinstance(texts, str) else texts
        size = library_of(self.machine)[tag].part.n_embd
        vectors = [embedding(text, size) for text in texts if text]
        told = {
            "model": tag,
            "embeddings": vectors,
            "load_duration": int(load_s * 1e9),
            "prompt_eval_count": sum(len(text.split()) for text in texts),
        }
        return *_json(told)[:2], load_s + _EMBEDDED_S


def _is_allowed(host: str) -> bool:
    """Whether a host that is asked for is one of a loopback's (routes.go, allowedHost)."""
    name = host.rpartition(":")[0] or host
    if name in ("", "localhost") or name.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_private


def _json(document: Any, status: int = 200) -> Answer:
    return status, json.dumps(document, separators=(",", ":")).encode(), 0.0


def _missing(tag: str) -> Answer:
    return _json({"error": f"model '{tag}' not found"}, 404)
