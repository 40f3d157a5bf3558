"""Model servers that stand in for each other, and who may ask them at all."""

import pytest

from homelab_lib.control.haproxy.status import table
from homelab_lib.errors import BadParameter
from homelab_lib.recipes.inference import failover, ollama
from homelab_lib.recipes.inference.balancing import End, Way, configuration
from homelab_lib.twin.machine.haproxy import Broken, parsed
from recipes.cards_bench import PHASE, bench, described, pass_through

ROUTES = "services.load-balancer.balancer.routes"
SMALL = (
    ("services.ollama.devices", ["proxmox.gpu1"]),
    ("services.embeddings.phase", None),
    ("gpu_allocation.rx-7900-xt.phase", None),
    ("gpu_allocation.rx-6700-xt.phase", None),
    (ROUTES, [{"name": "small", "port": 11440, "models": ["local-fallback", "chat-small"]}]),
)


@pytest.fixture(scope="module")
def done():
    made = bench(described(*SMALL), failover)
    return made, made.every()


def test_a_server_is_stopped_and_requests_go_on(done):
    made, outcomes = done
    held = {check.title: check.says for check in outcomes["failover"].checks if check.holds}
    assert held["no request at port 11440 was lost"] == "8 of 8 answered"
    assert held["somebody stood in for ollama-desktop"] == "ollama-desktop: 1, ollama: 7"
    took = {m.name: (m.value, m.predicted) for m in outcomes["failover"].measurements}
    assert took["ollama at port 11440"] == (7, 7)
    assert made.world.machines["desktop"].units["ollama"].active == "active", "and started again"


def test_it_is_stopped_once_and_by_agreement(done):
    made, _ = done
    [step] = [step for step in made.steps if step.name == "failover"]
    assert step.manual.or_confirmed
    sent = len(made.wire.sent)
    assert {outcome.status for outcome in made.every().values()} == {"already"}
    assert {outcome.status for outcome in made.every("verify").values()} == {"already"}
    assert made.wire.sent[sent:] == []


def test_a_plan_of_what_is_done_has_nothing_to_send(done):
    made, _ = done
    other = made.likeness()
    pass_through(other.lab, other.world)
    assert other.stops() == ("", "")
    assert other.wire.sent == []


def test_the_port_of_the_models_is_closed_to_whom_the_lab_does_not_name(done):
    made, outcomes = done
    [says] = [c.says for c in outcomes["model-servers"].checks if "is closed to" in c.title]
    assert "10.0.30.22:31434" in says
    assert "Connection refused" in says
    for name, status in (("desktop", 0), ("k3s-control", 0), ("k3s-gpu2", 7), ("k3s-gpu1", 0)):
        asked = made.world.machines[name].run("curl -sS -m 5 http://10.0.30.22:31434/api/version")
        assert asked.status == status, name
    # By another node's port that node is the sender.
    asked = made.world.machines["desktop"].run("curl -sS http://10.0.30.23:31434/api/version")
    assert asked.status == 7


def test_a_port_that_could_not_be_asked_is_not_taken_for_closed(done):
    made, _ = done
    packages = made.world.machines["k3s-gpu2"].packages
    version = packages.pop("curl")
    step, words = made.stops()
    packages["curl"] = version
    assert step == "model-servers"
    assert "ollama is closed to k3s-gpu2, which the lab does not name" in words
    assert "curl" in words


def test_what_was_tried_in_vain_says_how_it_is_tried_again(done):
    made, _ = done
    files = made.world.machines["desktop"].files
    [kept] = [p for p in files.entries if p.startswith("/var/lib/homelab/answers/load-balancer")]
    good = files.text(kept)
    files.write(kept, good.replace("200\n", "failed\n", 1))
    step, words = made.stops()
    files.write(kept, good)
    assert step == "failover"
    assert f"7 of 8 answered; rm {kept} on desktop" in words


def test_another_policy_that_opens_it_is_no_success(done):
    made, _ = done
    [cluster] = made.world.clusters.values()
    open_to_all = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "all", "namespace": "ai"},
        "spec": {"podSelector": {}, "ingress": [{}], "policyTypes": ["Ingress"]},
    }
    cluster.create(open_to_all)
    step, words = made.stops()
    cluster.delete("NetworkPolicy", "all", "ai")
    assert step == "model-servers"
    assert "ollama is closed to k3s-gpu2, which the lab does not name: it answers" in words


def test_a_server_that_lost_its_model_is_not_taken_for_one_that_stands_in(done):
    made, _ = done
    server = made.world.machines["desktop"].http[11434]
    digest = server.store.pop("llama3.1:8b")
    asked = made.world.machines["desktop"].run("curl -sS 'http://127.0.0.1:8404/;csv'").finished()
    server.store["llama3.1:8b"] = digest
    row = table(asked.out.decode(), "desktop", "stats")["small", "ollama-desktop"]
    assert (row["stot"], row["status"]) == ("1", "DOWN")


def test_by_the_balancer_nobody_pulls_or_deletes(done):
    made, _ = done
    desktop = made.world.machines["desktop"]
    for path in ("/api/pull", "/api/delete"):
        words = f"curl -sS -o /dev/null -w %{{http_code}} -X POST http://127.0.0.1:11440{path}"
        assert desktop.run(words).finished().out.decode() == "403"
    elsewhere = made.world.machines["k3s-control"].run("curl -sS -m 5 http://10.0.10.50:11440/")
    assert elsewhere.status, "it listens on its own machine alone"


def test_without_a_name_that_it_knows_a_local_server_answers_403(done):
    """That is why the name is set: a check without it would find every server dead."""
    made, _ = done
    desktop = made.world.machines["desktop"]
    for host, status in (("models.example.org", 403), ("localhost", 200), ("10.0.10.50", 200)):
        words = f"curl -sS -w ' %{{http_code}}' -H 'Host: {host}' http://127.0.0.1:11434/"
        assert desktop.run(words).finished().out.decode().endswith(f" {status}")


def test_what_is_written_has_the_words_that_haproxy_knows():
    way = Way("small", 11440, "m:1", (End("a", "127.0.0.1", 1), End("b", "10.0.0.2", 2)))
    text = configuration([way], ["10.0.10.0/24"])
    [status, listen] = parsed(text, "x")
    assert [server.backup for server in listen.servers] == [False, True]
    assert status.binds == [("127.0.0.1", 8404)]
    with pytest.raises(Broken, match="unknown keyword 'http-chek' in 'listen' section"):
        parsed(text.replace("http-check expect", "http-chek expect"), "x")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            [(ROUTES, [{"name": "both", "port": 11440, "models": ["chat-small", "second"]}])],
            "all servers behind port 11440 are on proxmox: when that is down, none",
        ),
        (
            [("services.ollama-desktop.phase", None)],
            "port 11440 leads to local-fallback, and no Ollama serves that by phase 3",
        ),
        (
            [("services.load-balancer.runs_on", "proxmox")],
            "whose server listens on desktop alone, and load-balancer runs on proxmox",
        ),
        (
            [(ROUTES, [{"name": "small", "port": 11434, "models": ["local-fallback"]}])],
            "port 11434 of desktop is Ollama on desktop's",
        ),
        (
            [(ROUTES, [{"name": "small", "port": 8404, "models": ["chat-small"]}])],
            "port 8404 of desktop is the balancer's own status's",
        ),
    ],
)
def test_what_can_not_be_is_refused_before_anything_is_sent(changes, expected):
    second = [
        ("services.ollama.devices", ["proxmox.gpu1", "proxmox.gpu2"]),
        ("models.second", described().models["chat-small"].model_copy(
            update={"name": "second", "devices": ("proxmox.gpu2",)})),
        ("models.chat-large.phase", 4),
        ("gpu_allocation.rx-7900-xt.phase", PHASE),
    ]  # fmt: skip
    lab = described(*SMALL, *(second if "second" in str(changes) else ()), *changes)
    with pytest.raises(BadParameter) as caught:
        list(failover.steps(lab, PHASE))
    assert expected in " ".join(str(caught.value).split())


def test_a_balancer_of_which_only_a_name_is_known_has_to_be_in_a_network_that_is_written():
    named = (*SMALL, ("hosts.desktop.ssh.address", "desktop"))
    with pytest.raises(BadParameter) as caught:
        list(ollama.steps(described(*named), PHASE))
    assert "lets in addresses and no names, and the lab has desktop for it" in str(caught.value)
    lab = described(*named, ("services.ollama.ollama.asked_from", ["10.0.10.0/24"]))
    [step] = [step for step in ollama.steps(lab, PHASE) if step.name == "model-servers"]
    assert "10.0.10.0/24" in step.why


def test_a_lab_without_such_things_has_no_such_step():
    assert list(failover.steps(described(("services.load-balancer.phase", None)), PHASE)) == []
