"""A lab whose cards were passed through already, and the steps above that."""

import copy

from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.recipes.graphics import drivers
from homelab_lib.recipes.inference import ollama
from recipes.bench import Bench

PHASE = 3


def described(*changes):
    """The shipped lab; its third worker stands with the others, so that these steps come first."""
    return changed(load_lab(), ("vms.k3s-gpu3.phase", 2), *changes)


def bench(lab=None, *above):
    """A twin before phase 3, each VM with its card on its bus; with what stands above models."""
    lab = lab or described()
    made = Bench(lab, steps_of(lab, *above), PHASE)
    pass_through(lab, made.world)
    return made


def steps_of(lab, *above):
    """The steps of cards and models, and of what stands above these."""
    parts = (drivers, ollama, *above)
    return tuple(step for part in parts for step in part.steps(lab, PHASE))


def pass_through(lab, world):
    """Each VM has its card on its bus."""
    for vm in lab.vms.values():
        host = world.machines[vm.host]
        for name in vm.gpus:
            drawn = [each for each in host.bus if each.class_code == "0300"]
            [card] = [each for each in drawn if each.name == name]
            slot = f"0000:01:{len(vm.gpus):02x}.0"
            own = copy.copy(card)
            own.slot, own.driver = slot, ""
            world.machines[vm.name].bus.append(own)
