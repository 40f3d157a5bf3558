"""AMD's image with a compiler for its cards, and a program that it makes and that runs on one.

Sources: hipcc 5.2 with clang 15, which made this program here, and HIP without a card, which said
so; LLVM, "User Guide for AMDGPU Backend" (the targets). On a card nobody here has run it: that it
prints what its source says there is read, and is seen by whoever does.
"""

import math
import re
from collections.abc import Sequence

from homelab_lib.twin.kubernetes import graphics
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.objects import Object
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands

_IMAGE = "docker.io/rocm/dev-ubuntu-24.04:"
_HIPCC = "/opt/rocm/bin/hipcc"
_TARGETS = re.compile("gfx(803|90[024689ac]|942|950|101[0-3]|103[0-6]|110[0-3]|115[0-3]|120[01])")
_NOT_KNOWN = (
    "clang: error: invalid target ID '{}'; format is a processor name followed by an optional "
    "colon-delimited list of features followed by an enable/disable sign (e.g., "
    "'gfx908:sramecc+:xnack-')\n"
)
_NONE = (
    "Test FAILED: ROCm finds no card that it may use; see who may open /dev/kfd and "
    "/dev/dri/renderD*, and dmesg on the node: no ROCm-capable device is detected\n"
)
_NO_KERNEL = (
    "Test FAILED: starting the sums on the card: "
    "no kernel image is available for execution on the device\n"
)
_WRONG = (
    "Test FAILED: 1048576 of 1048576 sums are wrong, the first 0 + 0 = -nan; trust no answer of "
    "this card, and look for its faults in dmesg on the node\n"
)


def tools(cluster: Cluster, pod: Object, inside: Machine) -> None:
    """Give a container of this image its compiler, and what it makes the node's cards."""
    if not pod["spec"]["containers"][0]["image"].startswith(_IMAGE):
        return
    inside.files.put(_HIPCC, "", mode=0o755)
    found = Commands()
    found("hipcc")(_hipcc)
    found("vector_add")(
        lambda machine, call: _vector_add(cluster, pod, machine.files.text(call.argv[0]).split())
    )
    inside.commands.append(found)


def _hipcc(machine: Machine, call: Call) -> Reply:
    words, options = operands(call, "-o")
    wanted = [word.partition("=")[2] for word in call.argv if word.startswith("--offload-arch=")]
    for target in wanted:
        if not _TARGETS.fullmatch(target):
            return Reply(1, stderr=_NOT_KNOWN.format(target))
    if "sums[i] = a[i] + b[i];" not in machine.files.text(words[0]):
        return Reply(70, stderr="twin: its hipcc makes a program that adds two vectors alone\n")
    machine.files.put(options["-o"], f"ELF for {' '.join(wanted)}\n", mode=0o755)
    return Reply()


def _vector_add(cluster: Cluster, pod: Object, made_for: Sequence[str]) -> Reply:
    """What the card makes of it: the world's habit ``amd_cards`` says whether it is ``silent``, or
    its sums are ``wrong``."""
    seen = [part for _, part in graphics.visible(cluster, pod) if part.vendor == "AMD"]
    if not seen:
        return Reply(1, _NONE)
    if seen[0].architecture not in made_for:
        return Reply(1, _NO_KERNEL)
    match cluster.world.habits.get("amd_cards"):
        case "silent":
            return Reply(takes_s=math.inf)
        case "wrong":
            return Reply(1, _WRONG)
    card = f"{seen[0].title}, {seen[0].architecture}"
    return Reply(0, f"Test PASSED: 1048576 sums by {card}\n", takes_s=1.0)
