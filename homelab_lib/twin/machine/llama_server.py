"""llama.cpp's server: a model over the cards of several machines.

Sources: llama.cpp src/llama-model.cpp (which layer goes to which device), ggml/src/ggml-rpc (what
ends it, which messages wait for an answer), tools/server/README.md; outputs of a build that ran.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from homelab_lib.lab.compute import ServedModel
from homelab_lib.twin.machine.graphics_drivers import holds_already, take
from homelab_lib.twin.machine.llama_programs import (
    SOURCE,
    WHO,
    Device,
    Ends,
    Process,
    build_of,
    free_bytes,
    give_back,
    protocol_of,
    unit_of,
    vulkan,
    was_there,
)
from homelab_lib.twin.machine.llama_rpc import Worker
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.machine.surroundings import BODY, METHOD, Answer, NetError
from homelab_lib.wiring.serving import Run, buffer_bytes, cache_bytes, weights

llama_server_programs = Commands()

_MIB = 2**20
_OWN_BYTES = 356 * _MIB  # of Vulkan, beside the model
_ROUND_TRIP_S = 0.3e-3
_EFFICIENCY = 0.62
_DISK_BPS = 2.2e9
_LOADING = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}


@dataclass
class Head:
    """A server with a model on several cards.

    Parameters
    ----------
    machine, given, env
        Where it runs, its options and its environment.
    build, protocol
        Its release, and what it speaks.
    """

    machine: Machine
    given: Mapping[str, str]
    env: Mapping[str, str]
    build: str
    protocol: str
    process: Process | None = None
    joined: list[Worker] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    layers: list[int] = field(default_factory=list)
    held: list[tuple[Machine, Device]] = field(default_factory=list)
    ready: bool = False
    found: bool = False  # the real one behind it has long loaded its model

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.alive()

    # ---------------------------------------------------------------------- start

    def begins(self) -> None:
        """It connects to each RPC server, then loads."""
        assert self.process is not None
        self.ready, self.found, self.joined, self.numbers = False, False, [], []
        for endpoint in self.given["--rpc"].split(","):
            worker = self._connect(endpoint)
            self.joined.append(worker)
            self.numbers.append(worker.process.number if worker.process else 0)
        self._say(f"srv    load_model: loading model '{self.given['-m']}'")
        model = self._model()
        devices = self._devices()
        self.layers = self._split(model, len(devices))
        takes_s = self._load(model, devices)
        number = self.process.number

        def loaded() -> None:
            if self.alive and self.process and self.process.number == number:
                self.ready = True
                self._say("srv  llama_server: model loaded")

        self.machine.world.after(takes_s, loaded, label="llama-server loads")

    def _connect(self, endpoint: str) -> Worker:
        address, _, port = endpoint.rpartition(":")
        target = self.machine.world.find_ip(address)
        why = self.machine.world.reach(self.machine, address, int(port))
        worker = target.http.get(int(port)) if target is not None else None
        # Where packets are dropped the kernel gives up after two minutes, not waited for here.
        if why or not isinstance(worker, Worker) or not worker.lets_in(self.machine.address):
            raise Ends(f"{SOURCE}:547: Failed to connect to {endpoint}")
        worker.connected()
        worker.client = self
        if worker.protocol != self.protocol:
            said = f"E RPC server version mismatch: {worker.protocol}\n"
            raise Ends(f"{said}{SOURCE}:550: RPC handshake failed for {endpoint}")
        return worker

    def _model(self) -> ServedModel:
        """The model of its file."""
        path = self.given["-m"]
        entry = self.machine.files.entry(path)
        digest = entry.sha256 if entry is not None else ""
        lab = self.machine.world.lab
        for model in lab.models.values():
            if model.file and lab.downloads[model.file].sha256 == digest:
                return model
        raise Ends(f"E srv    load_model: failed to load model, '{path}'")

    def _devices(self) -> list[tuple[str, Machine, Device]]:
        """What it was told to use, with the names of their memory."""
        known = {}
        remote = 0
        for worker in self.joined:
            for index, device in enumerate(worker.devices):
                buffer = f"RPC{index}[{worker.address}:{worker.port}]"
                known[f"RPC{remote}"] = (buffer, worker.machine, device)
                remote += 1
        for device in vulkan(self.machine, self.env):
            known[device.name] = (device.name, self.machine, device)
        wanted = self.given["--device"].split(",")
        if missing := [name for name in wanted if name not in known]:
            raise Ends(f'error while handling argument "--device": invalid device: {missing[0]}')
        return [known[name] for name in wanted]

    def _split(self, model: ServedModel, count: int) -> list[int]:
        """The device of each layer and of the output, by `llama_model_base::load_tensors`: the
        first whose end, of all shares as 1, is beyond the layer's place."""
        shares = [float(each) for each in self.given["-ts"].split(",")]
        shares = (shares + [0.0] * count)[:count]
        ends = [each / sum(shares) for each in accumulate(shares)]
        whole = model.part.n_layer + 1
        on_cards = min(int(self.given["-ngl"]), whole)
        first = whole - on_cards
        return [
            -1 if layer < first
            else next(n for n, end in enumerate(ends) if end > (layer - first) / on_cards)
            for layer in range(whole)
        ]  # fmt: skip

    def _run(self, model: ServedModel) -> Run:
        slots = int(self.given["-np"])
        return Run(
            int(self.given["-c"]),
            slots=slots,
            cache_type=self.given["-ctk"],
            flash_attention=self.given["-fa"] == "on",
        )

    def _load(self, model: ServedModel, devices: Sequence[tuple[str, Machine, Device]]) -> float:
        """Put the layers where they belong; how long that takes [s]."""
        whole = weights(model.part, model.quant)
        on_cards = sum(number >= 0 for number in self.layers)
        self._say(f"load_tensors: offloaded {on_cards}/{len(self.layers)} layers to GPU")
        self._say(f"load_tensors:   CPU_Mapped model buffer size = {_mib(whole.input_bytes)}")
        sent_s = 0.0
        parts = self._parts(model, len(devices))
        for (name, machine, device), (held, caches, beside) in zip(devices, parts, strict=True):
            give_back(machine, device)
            if held + caches + beside > free_bytes(machine, device):
                self._release()
                self._say(f"ggml_vulkan: Device memory allocation of size {held} failed.")
                raise Ends(
                    f"E llama_model_load: error loading model: unable to allocate {name} buffer"
                )
            take(machine, device.card, device.part, WHO, held + caches + beside)
            self.held.append((machine, device))
            self._say(f"load_tensors: {name:>12} model buffer size = {_mib(held)}")
            self._say(f"llama_kv_cache: {name:>12} KV buffer size = {_mib(caches)}")
            if machine is not self.machine:
                rate = self.machine.world.carries_bps(self.machine, machine.address)
                sent_s += held * 8 / max(rate, 1)
        return sent_s + whole.file_bytes / _DISK_BPS

    def _parts(self, model: ServedModel, count: int) -> Iterator[tuple[int, int, int]]:
        """Weights, cache, and what is beside them, by device [bytes]."""
        run, whole = self._run(model), weights(model.part, model.quant)
        cache = int(cache_bytes(model.part, run)) // model.part.n_layer
        beside = int(buffer_bytes(model.part, run)) + _OWN_BYTES
        sizes = [*whole.layer_bytes, whole.output_bytes]
        for number in range(count):
            own = [layer for layer, on in enumerate(self.layers) if on == number]
            caching = sum(layer < model.part.n_layer for layer in own)
            yield sum(sizes[layer] for layer in own), cache * caching, beside

    def goes_on(self) -> None:
        """The real one has its model in memory, and the cards' drivers have counted it."""
        assert self.process is not None
        self.process.goes_on()
        self.ready = self.found = True
        for endpoint in self.given["--rpc"].split(","):
            address, _, port = endpoint.rpartition(":")
            target = self.machine.world.find_ip(address)
            worker = target.http.get(int(port)) if target is not None else None
            if isinstance(worker, Worker):
                worker.client = self
                self.joined.append(worker)
                self.numbers.append(worker.process.number if worker.process else 0)
        with suppress(Ends):
            model, devices = self._model(), self._devices()
            self.layers = self._split(model, len(devices))
            for (_, machine, device), parts in zip(
                devices, self._parts(model, len(devices)), strict=True
            ):
                holds_already(machine, device.card, WHO, sum(parts))
                self.held.append((machine, device))

    def _release(self) -> None:
        for machine, device in self.held:
            give_back(machine, device)
        self.held = []

    def stops(self) -> None:
        """It ends: whoever served it closes the connection and frees what it had."""
        self.ready = False
        self._release()

    def _say(self, line: str) -> None:
        assert self.process is not None
        self.machine.log(self.process.unit.invocation, f"0.00.000.000 I {line}")

    # --------------------------------------------------------------------- answers

    def __call__(self, path: str, headers: Mapping[str, str]) -> Answer:
        """What it says to a request of its own machine."""
        method = headers.get(METHOD, "GET")
        if not self.ready:
            return _json(_LOADING, 503)
        if self.found and method == "GET":
            said = self.machine.said(
                "curl", "-sS", "-f", "-m", "30", f"http://127.0.0.1:{self.given['--port']}{path}"
            )
            return (200, said.out, 0.0) if said and not said.status else (503, b"", 0.0)
        if (method, path) == ("GET", "/health"):
            return _json({"status": "ok"})  # also with a machine gone
        if (method, path) == ("GET", "/props"):
            slots = int(self.given["-np"])
            return _json({
                "default_generation_settings": {"n_ctx": int(self.given["-c"]) // slots},
                "total_slots": slots,
                "model_alias": self.given.get("--alias", ""),
                "model_path": self.given["-m"],
                "build_info": f"{self.build}-0000000",
            })  # fmt: skip
        if (method, path) == ("POST", "/completion"):
            return self._complete(json.loads(headers.get(BODY, "{}")))
        return _json({"error": {"code": 404, "message": "File Not Found"}}, 404)

    def _complete(self, asked: dict[str, Any]) -> Answer:
        assert self.process is not None
        gone = [
            worker for worker, number in zip(self.joined, self.numbers, strict=True)
            if not worker.alive or worker.process is None or worker.process.number != number
        ]  # fmt: skip
        if gone:
            self.process.ends(
                f"{SOURCE}:566: Remote RPC server crashed or returned malformed response"
            )
            raise NetError(52, "Empty reply from server")
        count = int(asked.get("n_predict") or 16)
        took_s = count / self._rate()
        words = ("one, two, three, four, five, six, seven, eight, nine, ten, " * 30).split()
        prompt = len(str(asked.get("prompt", "")).split()) + 2
        told = {
            "content": " ".join(words[:count]),
            "stop_type": "limit",
            "timings": {
                "prompt_n": prompt,
                "prompt_ms": 90.0,
                "predicted_n": count,
                "predicted_ms": took_s * 1e3,
                "predicted_per_second": count / took_s,
            },
        }
        return *_json(told)[:2], took_s + 0.09

    def _rate(self) -> float:
        """Tokens a second: each card in its turn, and one answer waited for of each that is another
        machine's."""
        model = self._model()
        whole = weights(model.part, model.quant)
        cache = int(cache_bytes(model.part, self._run(model))) // model.part.n_layer
        sizes = [size + cache for size in whole.active_bytes] + [whole.output_bytes]
        seconds = 0.0
        for number, (_, machine, device) in enumerate(self._devices()):
            size = sum(sizes[layer] for layer, on in enumerate(self.layers) if on == number)
            seconds += size / (float(device.part.memory_bytes_per_s or 1e11) * _EFFICIENCY)
            if machine is not self.machine:
                rate = self.machine.world.carries_bps(self.machine, machine.address)
                crosses = 2 * model.part.n_embd * 4 * 8
                seconds += _ROUND_TRIP_S + crosses / max(rate, 1)
        return 1.0 / seconds


@llama_server_programs("llama-server")
def llama_server(machine: Machine, call: Call) -> Reply:
    """The server, run by systemd."""
    unit = unit_of(machine, call)
    if unit is None:
        return Reply(1, stderr="twin: its llama-server is a service alone\n")
    words = list(call.argv[1:])
    given = dict(zip(words[::2], words[1::2], strict=True))
    head = Head(machine, given, dict(call.env), build_of(machine, call), protocol_of(machine, call))
    head.process = Process(machine, unit, head.begins, head.stops)
    port = int(given["--port"])
    before = machine.http.get(port)
    if isinstance(before, Head) and before.process is not None:
        before.process.stop()
    machine.http[port] = head
    machine.listeners[port] = lambda: head.alive
    if was_there(machine, unit):
        head.goes_on()
    else:
        head.process.start()
    return Reply()


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / _MIB:8.2f} MiB"


def _json(document: Any, status: int = 200) -> Answer:
    return status, json.dumps(document, separators=(",", ":")).encode(), 0.0
