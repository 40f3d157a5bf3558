"""The lab's own HAProxy configuration before a real HAProxy, and two small servers behind it: one
is killed under load, and nobody's request is lost but those that were with it."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import pytest

from homelab_lib.control.haproxy.status import table
from homelab_lib.control.haproxy.trial import Tried
from homelab_lib.recipes.inference.balancing import End, Way, configuration
from real.opensshd import until
from real.test_restic import free_port

pytestmark = pytest.mark.real
HAPROXY = shutil.which("haproxy")
TAG = "llama3.1:8b"
CLIENTS = 6
SERVER = """
import http.server, json, sys, time
name, port, models = sys.argv[1], int(sys.argv[2]), sys.argv[3].split(",")

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        host = self.headers.get("Host", "")
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if host.split(":")[0] != "localhost":
            return self.say(403, b"")
        if asked["model"] not in models:
            return self.say(404, b'{"error":"not found"}')
        if self.path == "/api/show":
            return self.say(200, b"x" * 60000)  # as long as a real one's
        time.sleep(0.02)
        self.say(200, name.encode())

    def do_GET(self):
        self.say(200, b"Ollama is running")

    def say(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@dataclass
class House:
    """A balancer, and the servers behind it."""

    port: int
    status: int
    ends: dict = field(default_factory=dict)
    processes: dict = field(default_factory=dict)

    def start(self, name, models=TAG):
        words = [sys.executable, "-c", SERVER, name, str(self.ends[name]), models]
        self.processes[name] = subprocess.Popen(words)

    def kill(self, name):
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def ask(self, path="/api/generate", method="POST"):
        """Status and body; 0 for a connection that broke."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as link:
            try:
                link.request(method, path, json.dumps({"model": TAG}))
                said = link.getresponse()
                return said.status, said.read().decode()
            except (OSError, http.client.HTTPException):
                return 0, ""

    def states(self):
        with closing(http.client.HTTPConnection("127.0.0.1", self.status, timeout=30)) as link:
            link.request("GET", "/;csv")
            rows = table(link.getresponse().read().decode(), "here", "stats")
        return {server: row["status"] for (way, server), row in rows.items() if way == "small"}


@contextmanager
def house(tmp_path, ends=("first", "second"), asked_from=()):
    if HAPROXY is None:
        pytest.skip("this machine has no haproxy (package haproxy)")
    made = House(free_port(), free_port(), {name: free_port() for name in ends})
    way = Way("small", made.port, TAG, tuple(End(n, "127.0.0.1", p) for n, p in made.ends.items()))
    file = tmp_path / "models.cfg"
    file.write_text(configuration([way], asked_from, made.status))
    checked = subprocess.run(
        [HAPROXY, "-c", "-f", file], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    process = subprocess.Popen([HAPROXY, "-db", "-f", file])
    try:
        yield made
    finally:
        process.kill()
        process.wait()
        for name in list(made.processes):
            made.kill(name)


def is_up(made, *names):
    def look():
        try:
            states = made.states()
        except OSError:
            return False
        return all((states.get(name) == "UP") == (name in names) for name in made.ends)

    return look


def test_one_is_killed_under_load_and_only_what_was_with_it_is_lost(tmp_path):
    with house(tmp_path) as made:
        made.start("first")
        made.start("second")
        until("both are up", is_up(made, "first", "second"))
        over, answers = threading.Event(), []

        def load():
            while not over.is_set():
                begun = time.monotonic()
                said = made.ask()
                answers.append((begun, time.monotonic(), *said))

        clients = [threading.Thread(target=load) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        until("the first one serves", lambda: len(answers) > 10 * CLIENTS)
        alive = time.monotonic()
        made.kill("first")
        dead = time.monotonic()
        until(
            "the second one serves", lambda: [a for a in answers if a[3] == "second"][CLIENTS * 5 :]
        )
        over.set()
        for client in clients:
            client.join()
        lost = [(begun, ended) for begun, ended, status, _ in answers if status != 200]
        assert all(begun < dead for begun, _ in lost), "asked after it was dead, and lost"
        assert all(ended > alive for _, ended in lost), "lost while it was alive"
        # One was under way with each client; it may have asked once more while the server's
        # connections were being cut, one after another.
        assert len(lost) <= 2 * CLIENTS, f"{len(lost)} of {len(answers)}"
        assert {name for begun, _, _, name in answers if begun > dead} == {"second"}
        assert {name for *_, status, name in answers if status == 200} == {"first", "second"}


def test_one_that_comes_back_is_asked_first_again(tmp_path):
    with house(tmp_path) as made:
        made.start("second")
        until("the second one is up", is_up(made, "second"))
        assert made.ask() == (200, "second")
        made.start("first")
        until("both are up", is_up(made, "first", "second"))
        assert made.ask() == (200, "first")


def test_one_that_answers_and_has_not_the_model_is_not_asked(tmp_path):
    with house(tmp_path) as made:
        made.start("first", models="llama3.1:70b")
        made.start("second", models=f"a,b,{TAG}")
        until("the second one alone is up", is_up(made, "second"))
        assert made.ask() == (200, "second")


def test_whoever_may_ask_may_neither_pull_nor_delete(tmp_path):
    with house(tmp_path, ends=("first",), asked_from=("127.0.0.0/8",)) as made:
        made.start("first")
        until("it is up", is_up(made, "first"))
        assert made.ask()[0] == made.ask("/v1/chat/completions")[0] == 200
        assert made.ask("/api/pull")[0] == made.ask("/api/delete", "DELETE")[0] == 403


def test_without_any_server_it_says_so_at_once(tmp_path):
    with house(tmp_path) as made:
        until("it answers", is_up(made))
        assert made.ask()[0] == 503


def test_a_trial_that_is_ended_in_the_middle_starts_what_it_stopped(tmp_path):
    """Systemd ends all processes of its unit at once, and so does a shutdown."""
    told = tmp_path / "told"
    programs = {
        "systemctl": f'echo "$@" >> {told}\n',
        "curl": f"grep -q stop {told} 2>/dev/null && {{ echo asked >> {told}; exec sleep 60; }}\n"
        "echo 200\n",
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}")
        (tmp_path / name).chmod(0o755)
    tried = Tried("here", "ollama", "small", 1, TAG, "http://own", "http://s", str(tmp_path / "k"))
    [change] = tried.diff(False).changes
    path = f"{tmp_path}:{os.environ['PATH']}"
    process = subprocess.Popen(
        change.call.argv, env={"PATH": path}, start_new_session=True, stdout=subprocess.DEVNULL
    )
    try:
        until("it is stopped", lambda: told.exists() and "asked" in told.read_text())
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)
    finally:
        process.kill()
    assert told.read_text().splitlines()[0] == "stop ollama"
    assert told.read_text().splitlines()[-1] == "start ollama"
    assert not (tmp_path / "k").exists(), "nothing is kept of half a trial"
