"""Readers of llama.cpp's words, held against what a build of it printed.

The files in ``llama_cpp`` are outputs of llama.cpp (protocol 7.0.0, built for the processor) whose
server had a tiny model of random weights on two RPC servers over loopback; one of these was killed
later on, one was never started, and one answered as another release does.
"""

import hashlib
import json
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from homelab_lib.answers import understood
from homelab_lib.control.linux.large_files import _FETCH, LargeFile
from homelab_lib.control.llama_cpp import server
from homelab_lib.control.llama_cpp.log import ended_by, read_offered, read_spread
from homelab_lib.control.llama_cpp.server import _ANSWER, _PROPS, PoolUp, reaches
from homelab_lib.transport.command import Result

SAID = Path(__file__).parent / "llama_cpp"
MIB = 2**20


def said(name):
    return (SAID / name).read_text()


def test_where_a_real_server_put_its_layers():
    found = read_spread(said("head.log"))
    assert (found.layers, found.of_layers) == (9, 9)
    assert found.weights_bytes == {
        "CPU_Mapped": round(0.06 * MIB),
        "RPC0[127.0.0.1:50061]": round(0.63 * MIB),
        "RPC0[127.0.0.1:50062]": round(0.69 * MIB),
    }
    assert found.cache_bytes == {
        "RPC0[127.0.0.1:50061]": round(0.5 * MIB),
        "RPC0[127.0.0.1:50062]": round(0.5 * MIB),
    }


def test_only_the_last_load_counts():
    before = said("head.log").replace("0.63 MiB", "7.00 MiB")
    assert read_spread(before + said("head.log")) == read_spread(said("head.log"))
    assert read_spread("").of_layers == 0


@pytest.mark.parametrize(
    ("log", "why"),
    [
        ("head.log", ""),
        ("head-no-worker.log", "Failed to connect to 127.0.0.1:50061"),
        ("head-other-release.log", "RPC handshake failed for 127.0.0.1:50061"),
        ("head-worker-died.log", "Remote RPC server crashed or returned malformed response"),
        ("head-no-file.log", "failed to load model, '/var/lib/homelab/models/nothere.gguf'"),
        ("worker-no-address.log", "Failed to create server socket"),
        ("worker-no-device.log", "unknown device: Vulkan0"),
    ],
)
def test_why_a_real_one_ended(log, why):
    assert ended_by(said(log)) == why


def test_what_a_real_one_offers():
    found = read_offered(said("worker.log"))
    assert found.version == "7.0.0"
    assert found.devices == (("CPU", "CPU", 24105 * MIB),)


def up(**otherwise):
    facts = {"up": True, "release": "b1", "path": "/m.gguf", "slots": 1, "context": 512}
    return PoolUp("desk", "http://x", "llama-pool", "b1", "/m.gguf", 1, 512, 60.0).diff(
        facts | otherwise
    )


def test_what_a_real_one_says_of_itself_is_understood():
    props = understood(said("props.json"), _PROPS, host="x", line="curl")
    assert props["build_info"] == "b9999-unknown"
    assert props["default_generation_settings"]["n_ctx"] == 512
    told = understood(said("completion.json"), _ANSWER, host="x", line="curl")
    assert told["timings"]["predicted_n"] == 32
    json.loads(said("completion.json"))


@pytest.mark.parametrize(
    ("otherwise", "words"),
    [
        ({"release": "b2"}, "release b2, not b1"),
        ({"context": 4096}, "context 4096, not 512"),
        ({"path": "/other.gguf"}, "path /other.gguf, not /m.gguf"),
    ],
)
def test_another_server_in_the_place_is_no_success(otherwise, words):
    assert up().clean
    assert words in up(**otherwise).conflict


def test_another_release_is_refused_at_once_and_a_machine_that_is_off_is_waited_for():
    off = {"up": False, "ended": ended_by(said("head-no-worker.log"))}
    assert "Failed to connect to 127.0.0.1:50061" in up(**off).waiting
    other = {"up": False, "ended": ended_by(said("head-other-release.log"))}
    assert "does not speak with a machine of another release" in up(**other).conflict


def large(**facts):
    file = LargeFile("desk", "/m/a.gguf", "https://x/a.gguf", "a" * 64, 5, "a", lab="l")
    return file.diff({"there": "5", "receipt": f"{'a' * 64} 5"} | facts)


def test_a_large_file_goes_by_its_receipt():
    assert large().clean
    assert "did not put it there" in large(receipt="").conflict
    for changed in ({"there": "4"}, {"there": ""}, {"receipt": f"{'b' * 64} 5"}):
        [change] = large(**changed).changes
        assert change.undo.startswith("rm /m/a.gguf")
    [fresh] = large(there="", receipt="").changes
    assert not fresh.replaces


@pytest.mark.real
def test_a_large_file_goes_on_where_it_was_cut_off_and_is_thrown_away_where_it_is_another(tmp_path):
    source, place = tmp_path / "source", tmp_path / "models" / "a.gguf"
    source.write_bytes(bytes(range(256)) * 400)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    receipt, part = tmp_path / "kept" / "a.receipt", place.with_name("a.gguf.part")

    def fetched(wanted):
        size = str(source.stat().st_size)
        words = (str(place), source.as_uri(), wanted, str(receipt), size, "20")
        return subprocess.run(["sh", "-c", _FETCH, "sh", *words], capture_output=True, timeout=30)

    assert fetched("0" * 64).returncode
    assert list(place.parent.iterdir()) == []
    part.write_bytes(source.read_bytes()[:1000])
    assert fetched(digest).returncode == 0
    assert (place.read_bytes(), part.exists()) == (source.read_bytes(), False)
    assert receipt.read_text() == f"{digest} {place.stat().st_size}\n"


class Here:
    """This very machine, with its own curl."""

    name = "here"

    def read(self, *argv, ok, timeout_s):
        ran = subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s)
        return Result(ran.returncode, ran.stdout, ran.stderr)

    def cut(self, text, limit):
        return text[:limit]


def serves(way):
    """A socket that takes connections, and hangs up, resets them or lets them wait."""
    listening = socket.create_server(("127.0.0.1", 0))

    def take():
        taken, _ = listening.accept()
        if way == "waits":
            taken.recv(4096)
            taken.recv(4096)  # until curl gives up
        elif way == "resets":  # as an RPC server: the rest of what was sent stays unread
            taken.recv(1)
        else:
            taken.recv(4096)
        taken.close()
        listening.close()

    threading.Thread(target=take, daemon=True).start()
    return listening.getsockname()[1]


@pytest.mark.real
@pytest.mark.parametrize("way", ["hangs up", "resets", "waits"])
def test_who_takes_the_connection_is_reached_whatever_comes_of_it(way, monkeypatch):
    monkeypatch.setattr(server, "_PROBE_S", 1)
    through, says = reaches(Here(), "127.0.0.1", serves(way))
    assert through, says


@pytest.mark.real
def test_a_port_that_nobody_listens_at_is_not_reached(monkeypatch):
    monkeypatch.setattr(server, "_PROBE_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    through, says = reaches(Here(), "127.0.0.1", port)
    assert (through, "connect" in says) == (False, True)


@pytest.mark.real
def test_packets_that_are_dropped_are_no_connection(monkeypatch):
    """As the kernel drops those for a queue that is full, without an answer."""
    monkeypatch.setattr(server, "_PROBE_S", 1)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        address = listening.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        through, says = reaches(Here(), "127.0.0.1", address[1])
        for each in waiting:
            each.close()
    assert (through, "(28)" in says) == (False, True), says
