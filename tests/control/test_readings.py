"""Small readings of what appliances print."""

import json

import pytest

from homelab_lib.control.kubernetes.k3s import version_order
from homelab_lib.control.kubernetes.kubectl import cores
from homelab_lib.control.mark import marks
from homelab_lib.control.ollama.log import read_log
from homelab_lib.control.proxmox.guest import guest_file
from homelab_lib.control.proxmox.options import OPTIONS, differs, disk_bytes
from homelab_lib.control.proxmox.starting import gone, trouble
from homelab_lib.control.truenas.midclt import parse
from homelab_lib.errors import StepFailed
from homelab_lib.transport.command import Result


@pytest.mark.parametrize(
    ("text", "number"), [("4", 4), ("3800m", 3.8), ("0.5", 0.5), ("7910m", 7.91), ("1k", 1000)]
)
def test_processors(text, number):
    assert cores(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "4 cores", "4Gi", "-1"])
def test_what_is_no_number_of_processors(text):
    with pytest.raises(ValueError, match="no number of processors"):
        cores(text)


def test_versions_in_order():
    ordered = (
        "v1.21.6-alpha1+k3s1",
        "v1.21.6-rc2+k3s1",
        "v1.21.6-rc10+k3s1",
        "v1.21.6+k3s1",
        "v1.21.6+k3s2",
        "v1.21.10+k3s1",
        "v1.34.4+k3s1",
    )
    backwards = list(ordered)[::-1]
    assert sorted(backwards, key=version_order) == list(ordered)


@pytest.mark.parametrize(
    ("text", "value"),
    [("True\n", True), ("None\n", None), ("71\n", 71), ("TrueNAS-26.0\n", "TrueNAS-26.0"),
     ('[{"id": 1}]\n', [{"id": 1}])],
)  # fmt: skip
def test_what_midclt_prints(text, value):
    assert parse(text) == value


@pytest.mark.parametrize(
    ("comment", "ours"),
    [("homelab: attic", True), ("volumes; homelab: attic", True), ("homelab: attic; volumes", True),
     ("homelab: attic-two", False), ("not homelab: attic", False), ("homelab", False),
     ("", False), (None, False)],
)  # fmt: skip
def test_the_mark_in_a_comment(comment, ours):
    assert marks(comment, "attic") == ours


@pytest.mark.parametrize(
    ("stored", "size"),
    [("a:vm-1-disk-0,size=32G", 32 * 2**30), ("a:b,size=3584M,ssd=1", 3584 * 2**20),
     ("a:b,size=1.5T", 3 * 2**39), ("a:b", 0), ("a:b,oversize=9G", 0)],
)  # fmt: skip
def test_disk_sizes(stored, size):
    assert disk_bytes(stored) == size


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_what_is_not_stored_is_at_its_default(name):
    default = OPTIONS[name].default
    assert not differs(name, None, None)
    if name != "efidisk0":
        assert not differs(name, None, default)


class Node:
    """Answers `qm guest` as a slow agent does."""

    name = "pve"

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def cut(self, text, limit, *, end=False):
        return text[-limit:] if end else text[:limit]

    def json(self, *argv, **options):
        self.asked.append(argv[2:4])
        return json.loads(json.dumps(self.answers.pop(0)))

    def read(self, *argv, **options):
        return Result(0, json.dumps(self.json(*argv)), "")


def test_a_slow_agent_is_asked_again():
    node = Node({"pid": 77}, {"exited": 0}, {"exited": 1, "exitcode": 0, "out-data": "key\n"})
    assert guest_file(node, 301, "/etc/k", lambda seconds: range(9)) == "key\n"
    assert node.asked == [("exec", "301"), ("exec-status", "301"), ("exec-status", "301")]


def test_a_file_that_the_guest_says_is_not_there_is_empty():
    said = {"exited": 1, "exitcode": 1, "err-data": "cat: /etc/k: No such file or directory\n"}
    assert guest_file(Node(said), 301, "/etc/k", lambda seconds: range(9)) == ""


@pytest.mark.parametrize(
    "answer",
    [
        {"exited": 1, "exitcode": 1},
        {"exited": 1, "signal": 9},
        {"exited": 1, "exitcode": 1, "err-data": "cat: /etc/k: Input/output error\n"},
        {"exited": 1, "exitcode": 127, "err-data": "cat: No such file or directory\n"},
    ],
)
def test_a_file_that_can_not_be_read_is_not_taken_for_none(answer):
    with pytest.raises(StepFailed, match="pve: /etc/k in VM 301 can't be read"):
        guest_file(Node(answer), 301, "/etc/k", lambda seconds: range(9))


def test_an_agent_that_never_ends_is_given_up():
    node = Node({"pid": 77}, *[{"exited": 0}] * 50)
    with pytest.raises(StepFailed, match="it did not end"):
        guest_file(node, 301, "/etc/k", lambda seconds: range(9))


LOADED = """\
load_tensors: offloaded 33/33 layers to GPU
load_tensors:        CUDA0 model buffer size =  9999.00 MiB
load_tensors: offloaded 63/63 layers to GPU
load_tensors:   CPU_Mapped model buffer size =   400.00 MiB
load_tensors:        {card}0 model buffer size =  6000.50 MiB
llama_context:  {card}_Host  output buffer size =     0.77 MiB
llama_kv_cache_iswa: creating non-SWA KV cache, size = 8192 cells
llama_kv_cache:      {card}0 KV buffer size =   680.00 MiB
llama_kv_cache: size =  680.00 MiB (  8192 cells,  10 layers,  1/1 seqs), K (q8_0):  340.00 MiB, \
V (q8_0):  340.00 MiB
llama_kv_cache_iswa: creating     SWA KV cache, size = 1536 cells
llama_kv_cache:      {card}0 KV buffer size =   390.00 MiB
sched_reserve:      {card}0 compute buffer size =   522.50 MiB
sched_reserve:  {card}_Host compute buffer size =    39.01 MiB
sched_reserve:      {card}0 compute buffer size =   519.50 MiB
"""
"""As llama.cpp prints it: of a model with windows, which has two caches, loaded after another."""


@pytest.mark.parametrize("card", ["CUDA", "ROCm", "Vulkan"])
def test_what_a_log_tells_of_the_model_that_was_loaded_last(card):
    told = read_log(LOADED.format(card=card))
    assert (told.layers, told.of_layers, told.cache_types) == (63, 63, ("q8_0",))
    mib = {part: size / 2**20 for part, size in told.card_bytes.items()}
    assert mib == {"weights": 6000.5, "cache": 1070.0, "buffer": 519.5}


def test_what_lies_with_the_processor_is_not_on_a_card():
    told = read_log("load_tensors: CPU model buffer size = 1918.35 MiB\n"
                    "llama_kv_cache: CUDA_Host KV buffer size = 9.00 MiB\n")  # fmt: skip
    assert told.card_bytes == {}


class Journal:
    """A node whose kernel has said this since its start."""

    name = "hyper"

    def __init__(self, said):
        self.said = said

    def cut(self, text, limit, *, end=False):
        return text[:limit]

    def read(self, *argv, **options):
        return Result(0, self.said, "")


@pytest.mark.parametrize(
    ("line", "is_trouble"),
    [
        ("vfio-pci 0000:03:00.0: not ready 65535ms after bus reset; giving up", True),
        ("vfio-pci 0000:03:00.0: not ready 65535ms after FLR; giving up", True),
        ("vfio-pci 0000:01:00.0: BAR 1: can't reserve [mem 0xc0000000-0xcfffffff]", True),
        ("vfio-pci 0000:03:00.0: Unable to change power state from D3cold to D0, device "
         "inaccessible", True),
        ("vfio-pci 0000:03:00.0: not ready 1023ms after bus reset; waiting", False),
        ("vfio-pci 0000:03:00.0: enabling device (0002 -> 0003)", False),
    ],
)  # fmt: skip
def test_what_the_kernel_says_of_a_card_that_does_not_come_back(line, is_trouble):
    """Linux drivers/pci/pci.c, pci_dev_wait; drivers/vfio/pci."""
    assert bool(trouble(Journal(f"{line}\n"))) == is_trouble


def test_a_reset_that_failed_is_told_by_the_task_that_went_on():
    """qemu-server PCI.pm, prepare_pci_device: it only warns, and the task ends well."""
    warned = "failed to reset PCI device '0000:03:00.0', but trying to continue as not all devices "
    log = f"WARN: {warned}need a reset\nkvm: started\n"
    told = gone(Journal(""), "rocm", "1002:744c is not there in it", log)
    assert f"({warned}need a reset)" in told
    assert "Restart hyper itself" in told
