"""One model over the cards of several machines: made, left alone, and what stops it."""

import json
from dataclasses import replace

import pytest

from homelab_lib import paths
from homelab_lib.audit.run import findings
from homelab_lib.errors import BadParameter
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.recipes.graphics import drivers
from homelab_lib.recipes.inference import pooled
from homelab_lib.recipes.inference.pools import pools_of
from homelab_lib.twin.machine.graphics_drivers import cards, take
from homelab_lib.twin.machine.llama_programs import Process
from homelab_lib.twin.machine.llama_server import Head
from homelab_lib.twin.machine.unit import Unit
from recipes.bench import Bench
from recipes.cards_bench import pass_through

LAB = load_lab(paths.root() / "tests/recipes/labs/pooled.yaml")
PHASE = 2
PORT = 50052


def bench(*changes, lab=LAB, phase=PHASE):
    """A twin whose VMs have their cards on their bus."""
    lab = changed(lab, *changes)
    steps = tuple(step for part in (drivers, pooled) for step in part.steps(lab, phase))
    made = Bench(lab, steps, phase)
    pass_through(lab, made.world)
    return made


@pytest.fixture(scope="module")
def done():
    made = bench()
    return made, made.every()


def held(outcomes):
    return {check.title: check.says for o in outcomes.values() for check in o.checks if check.holds}


# ----------------------------------------------------------------------------------------- made


def test_each_card_has_its_part_of_the_model(done):
    _, outcomes = done
    found = held(outcomes)
    assert found["all layers are on cards"] == "65 of 65, the output among them"
    assert found["hyper.green has its part of the weights"] == "11.58 GiB"
    assert found["hyper.red has its part of the weights"] == "14.96 GiB"
    assert found["desk.gpu has its part of the weights"] == "5.11 GiB"
    assert found["whole answers over 3 cards"] == "128 tokens"


def test_only_the_head_gets_through(done):
    _, outcomes = done
    found = held(outcomes)
    assert "reset by peer" in found["desk reaches the cards of cuda"]
    assert "Timeout was reached" in found["the cards of cuda are closed to all but the head"]


def test_memory_and_speed_stand_beside_what_was_foretold(done):
    _, outcomes = done
    found = {m.name: m for o in outcomes.values() for m in o.measurements}
    memory = found["pool: memory of hyper.red"]
    assert memory.value == pytest.approx(memory.predicted, rel=0.03)
    speed = found["pool: whole"]
    assert 0.5 * speed.predicted < speed.value < speed.predicted, "below what it can be at most"
    assert found["pool: round trip to cuda"].value == pytest.approx(0.3e-3)


def test_the_server_is_told_which_layers_go_where(done):
    made, _ = done
    unit = made.world.machines["desk"].files.text("/etc/systemd/system/llama-pool.service")
    assert "--rpc 10.0.30.21:50052,10.0.30.22:50052 --device RPC0,RPC1,Vulkan0" in unit
    assert "-ngl 65 -c 4096 -np 1 -fa on -ctk f16 -ctv f16" in unit
    assert "-ts 24,31,10 --fit off" in unit
    assert "--host 127.0.0.1 --port 8080" in unit
    worker = made.world.machines["cuda"].files.text("/etc/systemd/system/llama-rpc.service")
    assert "ggml-rpc-server -H 10.0.30.21 -p 50052 -d Vulkan0\n" in worker
    assert "IPAddressDeny=any\nIPAddressAllow=10.0.30.50\n" in worker
    assert "Restart=always" in worker, "it ends with 0 where it can't bind its port"


def test_a_second_run_sends_nothing_and_verify_is_clean(done):
    made, _ = done
    sent = len(made.wire.sent)
    assert {o.status for o in made.every().values()} == {"already"}
    assert made.wire.sent[sent:] == []
    assert {o.status for o in made.every("verify").values()} == {"already"}


def test_a_plan_of_what_is_done_has_nothing_to_send(done):
    made, _ = done
    other = made.likeness()
    assert other.stops() == ("", "")
    assert other.wire.sent == []


def test_after_whichever_step_it_was_killed_a_plan_ends_and_is_what_the_rest_sends():
    made = bench()
    planned = []
    for step in made.steps:
        other = made.likeness()
        assert (step.name, other.stops()) == (step.name, ("", ""))
        planned.append((len(made.wire.sent), other.wire.sent))
        made.step(step.name)
    for before, sent in planned:
        assert sent == made.wire.sent[before:]


def card_bytes(made):
    """What programs hold of the cards, and what the server says of itself."""
    held = {name: dict(m.kept.get("vram", {})) for name, m in made.world.machines.items()}
    health = made.world.machines["desk"].run("curl -sS http://127.0.0.1:8080/props").finished()
    return held, health.out


def test_cut_off_at_every_change_it_comes_to_the_same():
    whole, cut = bench(), bench()
    for each in (whole, cut):
        each.step("drivers")
        each.wire.sent.clear()
    cut.ends_as(whole)
    assert card_bytes(cut) == card_bytes(whole)
    cut.wire.sent.clear()
    assert cut.stops() == ("", "")
    assert cut.wire.sent == []


def test_the_design_s_70b_goes_over_its_three_cards_once_they_are_free():
    """The shipped lab's own model and cards, Ollama's services left out."""
    lab = load_lab()
    download = lab.downloads["ollama"]
    downloads = {
        **lab.downloads,
        "llama-cpp": LAB.downloads["llama-cpp"],
        "llama-70b": download.model_copy(update={
            "name": "llama-70b",
            "url": "https://models.example.org/llama-3.1-70b-q4_k_m.gguf",
            "sha256": f"{'0' * 62}b1",
            "size_bytes": 42_520_395_616,
        }),
    }  # fmt: skip
    driver = lab.nvidia_driver.model_copy(
        update={"packages": (*lab.nvidia_driver.packages, "libnvidia-gl-580-server")}
    )
    exo = lab.services["exo"].model_copy(update={
        "runs_on": "k3s-gpu2",
        "llama_cpp": LAB.services["pool"].llama_cpp,
    })  # fmt: skip
    lab = lab.model_copy(update={
        "downloads": downloads,
        "nvidia_driver": driver,
        "services": {**lab.services, "exo": exo},
    })  # fmt: skip
    without = [(f"services.{name}.phase", None) for name in
               ("ollama", "embeddings", "ollama-desktop", "load-balancer")]  # fmt: skip
    lab = changed(
        lab,
        ("vms.k3s-gpu3.phase", 2),
        ("models.pooled-70b.server", "llama.cpp"),
        ("models.pooled-70b.context_tokens", 4096),
        ("models.pooled-70b.cache_type", "q8_0"),
        ("models.pooled-70b.file", "llama-70b"),
        *without,
    )
    made = bench(lab=lab, phase=3)
    names = [s.name for s in made.steps if s.name == "drivers" or s.name.startswith("pool")]
    outcomes = {name: made.step(name) for name in names}
    assert held(outcomes)["all layers are on cards"] == "81 of 81, the output among them"
    [pool] = pools_of(lab, 3)
    assert sum(pool.layers) == 80
    assert all(pool.layers)


def test_the_audit_takes_cards_for_one_only_where_a_service_makes_them_one():
    rules = {"memory-not-pooled", "model-server-for-each-machine"}
    assert not rules & {finding.rule for finding in findings(LAB)}
    without = changed(LAB, ("services.pool", None))
    assert "memory-not-pooled" in {finding.rule for finding in findings(without)}


# ------------------------------------------------------------------------------ worker and head


def question(made):
    body = json.dumps({"prompt": "x", "n_predict": 4})
    words = f"-X POST --data-binary '{body}' http://127.0.0.1:8080/completion"
    return made.world.machines["desk"].run(f"curl -sS {words}").finished()


def test_a_machine_that_is_gone_ends_the_server_at_the_next_question_and_a_run_mends_it():
    made = bench()
    made.every()
    desk = made.world.machines["desk"]
    made.world.machines["cuda"].run("sudo systemctl stop llama-rpc").finished()
    health = desk.run("curl -sS http://127.0.0.1:8080/health").finished()
    assert health.out == b'{"status":"ok"}', "its word for it proves nothing"
    assert question(made).status == 52
    assert made.step("pool-workers", "verify").status == "drift"
    again = made.every()
    assert {name: o.status for name, o in again.items()}["pool-workers"] == "changed"
    made.world.clock.sleep(300.0)
    assert question(made).status == 0


def test_with_another_context_it_is_asked_anew():
    made = bench()
    made.every()
    lab = changed(LAB, ("models.whole.context_tokens", 2048))
    made.steps = tuple(s for part in (drivers, pooled) for s in part.steps(lab, PHASE))
    made.wire.sent.clear()
    assert made.every()["pool-server"].status == "changed"
    assert len([line for line in made.wire.sent if "/completion" in line]) == 1


@pytest.mark.parametrize("name", ["desk", "cuda"])
def test_after_a_restart_of_a_machine_the_model_is_there_again(name):
    made = bench()
    made.every()
    made.world.machines[name].reboot()
    made.world.clock.sleep(300.0)
    question(made)  # who was left alone notices it now
    made.world.clock.sleep(300.0)
    assert question(made).status == 0
    assert made.step("pool-server", "verify").status == "already"


# ------------------------------------------------------------------------------------- mistakes


def refused(*changes):
    with pytest.raises(BadParameter) as caught:
        list(pooled.steps(changed(LAB, *changes), PHASE))
    return " ".join(str(caught.value).split())


def test_a_model_too_big_for_all_cards_is_refused_before_anything_is_sent():
    words = refused(("models.whole.context_tokens", 32768), ("models.whole.parallel", 2))
    assert "whole has 64 layers, and the cards have room for" in words
    assert "models.whole" in words
    assert "hyper.green 16 GiB" in words


def with_ollama(part, quant, tag):
    """The desktop's card is Ollama's, too."""
    lab = load_lab()
    ollama = lab.services["ollama-desktop"].model_copy(
        update={"runs_on": "desk", "devices": ("desk.gpu",), "phase": PHASE}
    )
    model = lab.models["local-fallback"].model_copy(update={
        "part": lab.catalog.models[part], "quant": quant, "devices": ("desk.gpu",), "phase": PHASE,
        "published": lab.models["local-fallback"].published.model_copy(update={"tag": tag}),
        "context_tokens": 2048,
    })  # fmt: skip
    services = {**LAB.services, "ollama-desktop": ollama}
    return LAB.model_copy(update={
        "services": services,
        "models": {**LAB.models, "local-fallback": model},
        "downloads": {**LAB.downloads, "ollama": lab.downloads["ollama"]},
    })  # fmt: skip


def test_a_card_is_not_given_twice():
    longer = ("models.whole.context_tokens", 16384)
    assert list(pooled.steps(changed(LAB, longer), PHASE)), "alone it has room"
    lab = changed(with_ollama("llama-3.1-8b", "Q4_K_M", "llama3.1:8b"), longer)
    with pytest.raises(BadParameter) as caught:
        list(pooled.steps(lab, PHASE))
    words = " ".join(str(caught.value).split())
    assert "of desk.gpu are for ollama-desktop's local-fallback" in words


def test_what_ollama_has_of_a_card_is_left_to_it_and_said():
    lab = with_ollama("nomic-embed-text-v1.5", "F16", "nomic-embed-text:latest")
    lab = changed(lab, ("models.local-fallback.context_tokens", 2048))
    [pool] = pools_of(lab, PHASE)
    alone = pools_of(LAB, PHASE)[0].layers
    assert pool.layers[2] < alone[2]
    [step, *_] = pooled.steps(lab, PHASE)
    assert "of desk.gpu are for ollama-desktop's local-fallback" in step.why
    assert "both are in memory at once" in step.why


def test_nvidia_s_driver_without_vulkan_is_refused():
    packages = [p for p in LAB.nvidia_driver.packages if "gl" not in p]
    assert "libnvidia-gl-580-server" in refused(("nvidia_driver.packages", packages))


def test_a_file_that_the_disk_has_no_room_for_is_refused():
    words = refused(("services.pool.runs_on", "cuda"))
    assert "cuda has a disk of 32 GiB" in words


def test_cards_of_one_machine_need_no_network():
    devices = ["hyper.green", "hyper.red"]
    words = refused(
        ("vms.cuda.gpus", ["green", "red"]),
        ("vms.rocm.gpus", []),
        ("services.pool.runs_on", "cuda"),
        ("services.pool.devices", devices),
        ("models.whole.devices", devices),
    )
    assert "nothing is to cross a network" in words


def test_a_machine_that_the_head_can_t_reach_stops_before_the_model():
    made = bench()
    made.step("drivers")
    rocm = made.world.machines["rocm"]
    rocm.refuses = lambda packet, arrives, leaves: "drop" if packet.port == PORT else None
    step, words = made.stops()
    assert step == "pool-workers"
    assert "desk reaches the cards of rocm: curl: (28) Failed to connect to 10.0.30.22" in words
    assert not [line for line in made.wire.sent if "llama-pool" in line]


def test_another_release_in_the_place_stops_before_the_model():
    """Somebody started one by hand: ours can't have its port."""
    made = bench()
    made.step("drivers")
    made.step("pool-workers")
    rocm = made.world.machines["rocm"]
    rocm.run("sudo systemctl stop llama-rpc").finished()
    nothing = lambda: None  # noqa: E731
    by_hand = Process(rocm, Unit("by-hand", "active"), nothing, nothing, rocm.boots, runs=True)
    rocm.http[PORT] = replace(rocm.http[PORT], protocol="6.0.0", process=by_hand)
    rocm.listeners[PORT] = lambda: True
    step, words = made.stops()
    assert step == "pool-workers"
    assert "llama-rpc is starting; its log: Failed to create server socket" in words


def test_a_machine_that_speaks_another_release_s_protocol_stops_the_server():
    made = bench()
    made.step("drivers")
    made.step("pool-workers")
    made.world.machines["rocm"].http[PORT].protocol = "6.0.0"
    step, words = made.stops()
    assert step == "pool-server"
    assert "RPC handshake failed for 10.0.30.22:50052" in words


def test_memory_that_somebody_else_has_stops_the_server_in_its_own_words():
    made = bench()
    made.step("drivers")
    made.step("pool-workers")
    rocm = made.world.machines["rocm"]
    [(card, part)] = cards(rocm, "AMD")
    take(rocm, card, part, "a game", 8 * 2**30)
    step, words = made.stops()
    assert step == "pool-server"
    assert "unable to allocate RPC0[10.0.30.22:50052] buffer" in words


def test_a_card_that_vulkan_does_not_show_is_no_success():
    made = bench(("services.pool.llama_cpp.vulkan", {"hyper.green": 3}))
    step, words = made.stops()
    assert step == "pool-workers"
    assert "unknown device: Vulkan0" in words


def test_the_twin_gives_layers_to_devices_as_a_real_server_did():
    """Eight layers and the output by ``-ts 4,5``: tests/control/llama_cpp/head.log."""
    head = Head(None, {"-ts": "4,5", "-ngl": "9"}, {}, "b9999", "7.0.0")
    part = LAB.models["whole"].part.model_copy(update={"n_layer": 8})
    model = LAB.models["whole"].model_copy(update={"part": part})
    assert head._split(model, 2) == [0, 0, 0, 0, 1, 1, 1, 1, 1]
