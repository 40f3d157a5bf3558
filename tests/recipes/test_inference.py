"""Cards in guests and models on them, above the passthrough: made, left alone, and what stops."""

import json
import re
import subprocess

import pytest

from homelab_lib.control.ollama.models import Loaded
from homelab_lib.errors import BadParameter
from homelab_lib.lab.changes import changed
from homelab_lib.recipes.inference.ollama import steps
from homelab_lib.recipes.inference.servers import servers_of
from homelab_lib.twin.machine.bus import Function
from homelab_lib.twin.machine.graphics_drivers import cards, take, upgrade_at_night
from homelab_lib.twin.machine.program import Reply
from recipes.cards_bench import PHASE, bench, described

CHAT = ("services.ollama.devices", ["proxmox.gpu1"])
"""One card, which is NVIDIA's: less to wait for."""
ALONE = (
    CHAT,
    ("services.embeddings.phase", None),
    ("services.ollama-desktop.phase", None),
    ("services.load-balancer.phase", None),
    ("gpu_allocation.rx-7900-xt.phase", None),
    ("gpu_allocation.rx-6700-xt.phase", None),
)
EMBEDDINGS = (
    ("services.ollama.phase", None),
    *ALONE[2:5],
    ("gpu_allocation.rtx-4070-ti-super.phase", None),
)
DESKTOP = (ALONE[1], *ALONE[3:], EMBEDDINGS[-1])


@pytest.fixture(scope="module")
def done():
    made = bench()
    return made, made.every()


def test_every_card_serves_its_model(done):
    _, outcomes = done
    held = {check.title: check.says for o in outcomes.values() for check in o.checks if check.holds}
    assert held["ollama-gpu1 computes by CUDA"] == "library=CUDA"
    assert held["embeddings computes by ROCm"] == "library=ROCm"
    assert held["ollama-desktop computes by Vulkan"] == "library=Vulkan"
    assert held["ollama-gpu2 has all layers on the card"] == "65 of 65 layers"
    assert held["ollama-gpu2 keeps keys and values in q8_0"] == "q8_0"
    assert held["a pod on k3s-gpu1 computes on NVIDIA's card"] == "Test PASSED"
    summed = held["a pod on k3s-gpu3 computes on AMD's card"]
    assert summed.startswith("Test PASSED: 1048576 sums by ")
    assert summed.endswith(", gfx1031")


def test_memory_and_speed_stand_beside_what_was_foretold(done):
    _, outcomes = done
    found = {m.name: m for m in outcomes["answers"].measurements}
    memory = found["ollama-gpu2: memory of the card"]
    assert memory.predicted == pytest.approx(19.49 * 2**30, rel=0.001)
    assert memory.value == pytest.approx(memory.predicted, rel=0.02)
    for part in ("weights", "cache", "buffer"):
        told = found[f"ollama-gpu2: {part} of chat-large, by the server's log"]
        assert told.value == pytest.approx(told.predicted, rel=0.001)
    for name in ("ollama-gpu1: chat-small", "ollama-desktop: local-fallback"):
        assert 0 < found[name].value < found[name].predicted, "nothing is above its roof"


def test_a_second_run_sends_nothing_and_verify_is_clean(done):
    made, _ = done
    sent = len(made.wire.sent)
    again = made.every()
    assert made.wire.sent[sent:] == []
    assert {o.status for o in again.values()} == {"already"}
    assert {o.status for o in made.every("verify").values()} == {"already"}


def test_vectors_that_make_no_sense_are_no_success(done):
    """Of two texts the related one has to be nearer: here it is the recipe for bread."""
    made, _ = done
    files = made.world.machines["k3s-control"].files
    [kept] = [p for p in files.entries if p.startswith("/var/lib/homelab/answers/embeddings-")]
    good = files.text(kept)
    answer = json.loads(good)
    same, again, near, far = answer["embeddings"]
    files.write(kept, json.dumps(answer | {"embeddings": [same, again, far, near]}))
    step, words = made.stops()
    files.write(kept, good)
    assert step == "answers"
    assert "embeddings tells what is related" in words


def test_a_plan_of_what_is_done_has_nothing_to_send(done):
    made, _ = done
    other = made.likeness()
    assert other.stops() == ("", "")
    assert other.wire.sent == []


@pytest.mark.parametrize(
    "vendor",
    [pytest.param("NVIDIA", marks=pytest.mark.sample), "AMD"],  # the former has a longer way
)
@pytest.mark.sample
def test_after_whichever_step_it_was_killed_a_plan_ends_and_is_what_the_rest_sends(vendor):
    """The real cards hold no model yet, and those of the rehearsal come to hold some."""
    made = bench(described(*(ALONE if vendor == "NVIDIA" else EMBEDDINGS)))
    planned = []
    for step in made.steps:
        other = made.likeness()
        assert (step.name, other.stops()) == (step.name, ("", ""))
        planned.append((len(made.wire.sent), other.wire.sent))
        made.step(step.name)
    assert planned[0][1], "there is something to do"
    for before, sent in planned:
        assert sent == made.wire.sent[before:]


def test_a_card_whose_title_has_a_comma_is_called_as_its_driver_calls_it():
    name, lab = "rtx-4060-ti-16gb", described(*ALONE)
    part = lab.catalog.gpus[name].model_copy(update={"pci_ids": ("10de:2805",)})
    catalog = lab.catalog.model_copy(update={"gpus": {**lab.catalog.gpus, name: part}})
    lab = lab.model_copy(update={"catalog": catalog})
    made = bench(changed(lab, ("hosts.proxmox.devices.gpu1.part", name)))
    assert "," in part.title
    says = [each.says for each in made.step("drivers").checks if each.holds]
    assert says[0].startswith("NVIDIA GeForce RTX 4060 Ti, 580.")


def test_a_name_with_a_comma_is_read():
    made = bench(described(*ALONE))
    made.step("drivers")
    row = b"NVIDIA GRID A100, Q1, 00000000:01:01.0, 580.95.05, 16380, 3\n"
    smi = made.world.machines["k3s-gpu1"].instead
    smi.append(lambda call, go: Reply(0, row) if call.argv[0] == "nvidia-smi" else None)
    [check] = made.step("drivers", "verify").checks
    assert check.says == "NVIDIA GRID A100, Q1, 580.95.05, 16 GiB"


def test_the_graphics_of_a_processor_are_not_taken_for_the_card():
    """amdgpu drives both, and its own comes first by its address."""
    made = bench(described(("services.ollama.phase", None), *DESKTOP))
    desktop = made.world.machines["desktop"]
    place = "/sys/devices/pci0000:00/0000:00:01.0/0000:00:02.0"
    for name, size in (("total", 512 * 2**20), ("used", 500 * 2**20)):
        desktop.files.put(f"{place}/mem_info_vram_{name}", f"{size}\n")
    outcomes = made.every()
    [check] = outcomes["drivers"].checks
    assert (check.holds, "8 GiB" in check.says) == (True, True)
    [taken] = [m for m in outcomes["answers"].measurements if m.name.endswith("memory of the card")]
    assert taken.value > 5 * 2**30


def taken_bytes(world, name):
    """What a VM's card has of its memory in use, by its own driver."""
    machine = world.machines[name]
    if "nvidia" in machine.modules:
        asked = "nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits"
        return int(machine.run(asked).finished().out) * 2**20
    [path] = machine.run("find /sys/devices -name mem_info_vram_used").finished().out.split()
    return int(machine.run(f"cat {path.decode()}").finished().out)


@pytest.mark.parametrize("name", ["k3s-gpu1", "desktop"])
def test_after_a_restart_its_model_is_in_memory_before_anybody_asks(done, name):
    """Of the node, with its pods; and of a server that systemd runs."""
    made, _ = done
    machine = made.world.machines[name]
    if name == "desktop":
        machine.run("sudo systemctl restart ollama").finished()
    else:
        machine.reboot()
    made.world.clock.sleep(300.0)
    assert made.step("answers", "verify").status == "already", "nothing had to be loaded"


def test_a_model_that_is_let_go_when_nobody_asks_is_found_missing():
    """Ollama keeps one for five minutes unless it is told: ollama/ollama, docs/faq.mdx."""
    extra = [{"name": "OLLAMA_CONTEXT_LENGTH", "value": "8192"}]
    made = bench(described(*ALONE, ("services.ollama.chart.values", {"extraEnv": extra})))
    made.every()
    held = taken_bytes(made.world, "k3s-gpu1")
    made.world.clock.sleep(200.0)
    assert taken_bytes(made.world, "k3s-gpu1") == held
    made.world.clock.sleep(200.0)
    assert taken_bytes(made.world, "k3s-gpu1") < held / 10
    assert made.step("answers", "verify").status == "drift"


def test_a_request_says_itself_how_long_its_model_stays(done):
    made, _ = done
    server = made.world.machines["desktop"].http[11434]
    asked = json.dumps({"model": "llama3.1:8b", "keep_alive": 0})
    server.answer("POST", "/api/generate", asked)
    made.world.clock.sleep(1.0)
    assert server.loaded == {}
    for told, left in (("-1", 1), (-1, 1), ("90s", 1), ("1m30s", 1), (60, 0), ("1m", 0)):
        asked = json.dumps({"model": "llama3.1:8b", "keep_alive": told})
        _, _, took_s = server.answer("POST", "/api/generate", asked)
        made.world.clock.sleep(took_s + 75.0)
        assert len(server.loaded) == left, told
    server.answer("POST", "/api/generate", json.dumps({"model": "llama3.1:8b"}))


@pytest.mark.real
@pytest.mark.parametrize("pulled", [True, False])
def test_what_loads_a_model_pulls_none_and_never_fails(pulled, tmp_path):
    """By a shell: a model that is not there is left out, for `ollama run` would pull it."""
    [server] = servers_of(described(*ALONE), PHASE)
    asked = tmp_path / "asked"
    program = f'#!/bin/sh\necho "$@" >> {asked}\n[ "$1" != show ] || exit {int(not pulled)}\n'
    program += '[ "$1" != run ] || { cat; exit 1; }\n'
    (tmp_path / "ollama").write_text(program)
    (tmp_path / "ollama").chmod(0o755)
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    ran = subprocess.run(
        ["/bin/sh", "-c", server.loading], env=path, capture_output=True, timeout=20
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
    tag = server.models[0].published.tag
    runs = [f"run {tag} "] if pulled else []
    assert asked.read_text().splitlines() == ["list", f"show {tag}", *runs]


@pytest.mark.parametrize("name", ["k3s-gpu1", "k3s-gpu2", "k3s-gpu3"])
def test_what_real_servers_hold_is_given_back_when_they_end_in_a_rehearsal(done, name):
    made, _ = done
    held = taken_bytes(made.world, name)
    world = made.likeness().world
    assert taken_bytes(world, name) == held
    [cluster] = world.clusters.values()
    for pod in cluster.all("Pod"):
        if pod["spec"].get("nodeName") == name and "ollama/ollama" in str(pod["spec"]):
            words = f"-n {pod['metadata']['namespace']} {pod['metadata']['name']}"
            line = f"sudo -n k3s kubectl delete pod {words}"
            world.machines["k3s-control"].run(line).finished()
    assert taken_bytes(world, name) < 32 * 2**20, "the drivers' own is left"


def test_a_night_s_upgrade_leaves_driver_and_library_together(done):
    made, _ = done
    worker = made.world.machines["k3s-gpu1"]
    upgrade_at_night(worker)
    assert worker.run("nvidia-smi --query-gpu=name --format=csv,noheader,nounits").status == 0


def test_a_driver_that_is_not_held_is_split_at_night_and_the_step_says_so():
    made = bench(described(*ALONE))
    made.step("drivers")
    worker = made.world.machines["k3s-gpu1"]
    worker.run("sudo apt-mark unhold 'libnvidia-compute-580-server' nvidia-utils-580-server")
    upgrade_at_night(worker)
    _, words = made.stops()
    assert "Driver/library version mismatch" in words
    assert "library and kernel module have to be of one version" in words


def test_without_a_card_nothing_is_installed():
    made = bench(described(*ALONE))
    vga = Function("vga", "0000:00:01.0", "1234:1111", "0300", "QEMU VGA", "", "", 0, 0, 0, 0)
    made.world.machines["k3s-gpu1"].bus[:] = [vga]
    step, words = made.stops()
    assert step == "drivers"
    assert "RTX 4070 Ti Super is not on the bus of k3s-gpu1" in words
    assert "its graphics cards: 1234:1111" in words
    assert not [line for line in made.wire.sent if "nvidia" in line]


def test_a_taint_that_keeps_the_plugin_away_is_named():
    made = bench(described(*ALONE))
    [cluster] = made.world.clusters.values()
    taint = {"key": "dedicated", "value": "ml", "effect": "NoSchedule"}
    cluster.get("Node", "k3s-gpu1")["spec"]["taints"] = [taint]
    step, words = made.stops()
    assert step == "gpu-plugins"
    assert "offers 0 of 1 nvidia.com/gpu" in words
    assert "taint dedicated=ml:NoSchedule of k3s-gpu1 keeps nvdp-nvidia-device-plugin away" in words


def test_a_plugin_without_nvidia_s_runtime_is_named():
    key = "clusters.homelab.device_plugins.NVIDIA.values"
    made = bench(described(*ALONE, (key, {"runtimeClassName": ""})))
    step, words = made.stops()
    assert step == "gpu-plugins"
    assert "Incompatible strategy detected auto" in words


@pytest.mark.sample
def test_a_runtime_class_that_no_node_has_is_named():
    """Long: that the plugin lacks its runtime is tried at every change, too."""
    key = "clusters.homelab.device_plugins.NVIDIA.values"
    made = bench(described(*ALONE, (key, {"runtimeClassName": "nvidia-experimental"})))
    step, words = made.stops()
    assert step == "gpu-plugins"
    assert 'no runtime for "nvidia-experimental" is configured' in words


def test_a_card_that_the_server_leaves_out_is_no_success():
    key = "services.embeddings.chart.values"
    made = bench(described(*EMBEDDINGS, (key, {"extraEnv": []})))
    step, words = made.stops()
    assert step == "model-servers"
    assert "embeddings computes by ROCm: it leaves the card out: dropping ROCm device" in words


def test_a_server_without_its_card_computes_with_the_processor_and_says_so():
    """Without NVIDIA's runtime a container sees none of its cards, and Ollama complains of
    nothing."""
    made = bench(described(*ALONE, ("services.ollama.chart.values", {"runtimeClassName": ""})))
    step, words = made.stops()
    assert step == "model-servers"
    assert "ollama computes by CUDA: library=cpu" in words


@pytest.mark.parametrize(
    ("tokens", "holds"), [(8192, True), (16384, True), (32768, False), (4096, False)]
)
def test_a_context_that_the_server_guessed_is_no_success(tokens, holds):
    """Ollama's guesses are 4096, 32768 and 262144, by the memory that it sees."""
    loaded = Loaded("play", "http://x", "llama3.1:8b", 8192, parallel=2)
    diff = loaded.diff({"up": True, "loaded": True, "context": tokens})
    assert (diff.clean, "was told otherwise" in diff.conflict) == (holds, not holds)


def test_a_cache_of_another_type_than_the_lab_s_is_no_success():
    """Somebody's own values for the chart: the model fits all the same, and nothing else tells."""
    told = {"OLLAMA_CONTEXT_LENGTH": "8192", "OLLAMA_KV_CACHE_TYPE": "q8_0"}
    extra = [{"name": name, "value": value} for name, value in told.items()]
    made = bench(described(*ALONE, ("services.ollama.chart.values", {"extraEnv": extra})))
    step, words = made.stops()
    assert step == "answers"
    assert "ollama keeps keys and values in f16: q8_0" in words


@pytest.mark.parametrize(
    ("cards", "says"),
    [("wrong", "1048576 of 1048576 sums are wrong"), ("silent", "no answer of the card in 120 s")],
)
def test_a_card_of_amd_s_that_computes_wrongly_or_not_at_all_is_no_success(cards, says):
    made = bench(described(*EMBEDDINGS))
    made.world.habits["amd_cards"] = cards
    step, words = made.stops()
    assert step == "gpu-test"
    assert "Test FAILED: " in words
    assert says in words


@pytest.mark.parametrize(
    ("version", "says"),
    [
        (0, "the kernel has no card to compute on"),
        (90010, "no kernel image is available"),
        (140000, "makes nothing for --offload-arch=gfx1400"),
    ],
)
def test_the_program_is_made_for_what_the_kernel_calls_the_card(version, says):
    made = bench(described(*EMBEDDINGS))
    for name in ("drivers", "gpu-plugins"):
        made.step(name)
    files = made.world.machines["k3s-gpu3"].files
    nodes = "/sys/class/kfd/kfd/topology/nodes"
    files.put(f"{nodes}/1/properties", f"simd_count 96\ngfx_target_version {version}\n")
    step, words = made.stops()
    assert step == "gpu-test"
    assert "Test FAILED: " in words
    assert says in words


def test_layers_that_are_left_to_the_processor_are_no_success():
    """Something else has taken of the card's memory before the model is loaded."""
    made = bench(described(*ALONE))
    for name in ("drivers", "container-runtime", "gpu-plugins", "gpu-test", "model-servers"):
        made.step(name)
    worker = made.world.machines["k3s-gpu1"]
    [(card, part)] = cards(worker, "NVIDIA")
    take(worker, card, part, "somebody", 12 * 2**30)
    made.step("models")
    step, words = made.stops()
    assert step == "answers"
    assert re.search(r"ollama has all layers on the card: \d+ of 33 layers", words)


def test_another_digest_than_the_lab_s_stops_before_the_model_is_used():
    made = bench(described(*ALONE))
    made.world.habits["ollama_tags"] = {"llama3.1:8b": "f" * 64}
    step, words = made.stops()
    assert step == "models"
    assert "has digest ffffffffffff, and the lab has 46e0c10c039e" in words
    assert not [line for line in made.wire.sent if "/api/generate" in line]


def refused(*changes):
    with pytest.raises(BadParameter) as caught:
        list(steps(described(*changes), PHASE))
    return " ".join(str(caught.value).split())


def test_all_that_is_wrong_with_models_is_told_at_once():
    words = refused(
        ("models.chat-small.context_tokens", 200_000),
        ("models.chat-large.published", None),
    )
    for each in ("trained for 131072", "chat-small takes", "neither its tag nor its digest"):
        assert each in words


def test_a_model_that_does_not_fit_is_refused_before_anything_is_sent():
    words = refused(
        ("models.chat-large.cache_type", "f16"), ("models.chat-large.context_tokens", 8192)
    )
    assert "chat-large takes 20.96 GiB on proxmox.gpu2, which has 20 GiB" in words
    assert "weights 18.07 GiB, cache 2 GiB" in words
    assert "models.chat-large" in words


def test_models_of_one_card_have_to_agree_on_what_a_server_has_once():
    words = refused(
        ("models.local-fallback.devices", ["proxmox.gpu1"]),
        ("models.local-fallback.context_tokens", 4096),
        ("services.ollama-desktop.phase", None),
    )
    assert "differ in context_tokens, which Ollama has once for all" in words


def test_a_quantised_cache_needs_flash_attention():
    words = refused(("models.chat-large.flash_attention", False))
    assert "keeps values in q8_0, which needs flash attention" in words
