"""What is in the way of a model over several machines, said before anything is sent."""

import re
from collections.abc import Iterator

from homelab_lib.errors import BadParameter
from homelab_lib.recipes.inference.pools import Pool, beside
from homelab_lib.units import format_ibytes
from homelab_lib.wiring.serving import caches, weights

_SYSTEM_BYTES = 10 * 2**30
_VULKAN = ("libnvidia-gl", "nvidia-vulkan", "nvidia-driver-")
"""How packages begin that have NVIDIA's Vulkan library: a driver without a display has none."""


def refuse(pool: Pool) -> None:
    """See that a pool can serve what it is to serve.

    Raises
    ------
    BadParameter
        It can't: the key, and what to do.
    """
    for wrong in _wrong(pool):
        raise wrong


def _wrong(pool: Pool) -> Iterator[BadParameter]:
    """What is in the way, the first first."""
    yield from _wrong_machines(pool)
    yield from _wrong_files(pool)
    yield from _wrong_model(pool)
    yield from _wrong_size(pool)


def _wrong_machines(pool: Pool) -> Iterator[BadParameter]:
    where = f"services.{pool.name}.devices"
    if not pool.workers:
        yield BadParameter(
            f"all cards of {pool.name} are in {pool.head.machine}, and nothing is to cross a "
            "network",
            where=where,
            fix="name one of another machine",
        )
    driver = pool.lab.nvidia_driver
    packages = driver.packages if driver is not None else ()
    has = any(name.startswith(_VULKAN) for name in packages)
    nvidia = [card.device for card in pool.cards if card.part.vendor == "NVIDIA"]
    if nvidia and not has:
        yield BadParameter(
            f"{nvidia[0]} is to compute by Vulkan, and the driver comes without its library",
            where="nvidia_driver.packages",
            fix="add the one of the driver's branch, such as libnvidia-gl-580-server",
        )


def _wrong_files(pool: Pool) -> Iterator[BadParameter]:
    archive = pool.archive
    if not re.fullmatch(r"b\d+", archive.version) or not archive.url.endswith(".tar.gz"):
        yield BadParameter(
            f"{archive.name} is to be a release of llama.cpp, such as b10827, as a .tar.gz",
            where=f"downloads.{archive.name}.version",
            fix="write its tag as version, and the address of the archive for Ubuntu and Vulkan",
        )
    if pool.model.file is None or not pool.file.size_bytes:
        yield BadParameter(
            f"{pool.name} reads {pool.model.name} from a GGUF file, and the lab does not say from "
            "which, or not how large it is",
            where=f"models.{pool.model.name}.file",
            fix="write the name of a download that has its url, sha256 and size_bytes",
        )
        return
    vm = pool.lab.vms.get(pool.head.machine)
    needed = (pool.file.size_bytes or 0) + _SYSTEM_BYTES
    if vm is not None and vm.disk_bytes is not None and vm.disk_bytes < needed:
        yield BadParameter(
            f"{pool.model.name}'s file takes {format_ibytes(pool.file.size_bytes or 0)}, and "
            f"{vm.name} has a disk of {format_ibytes(vm.disk_bytes)}, with its system on it",
            where=f"vms.{vm.name}.disk_bytes",
            fix="a larger disk, or a smaller quant",
        )


def _wrong_model(pool: Pool) -> Iterator[BadParameter]:
    model = pool.model
    where = f"models.{model.name}"
    if not caches(model.part):
        yield BadParameter(
            f"{model.name} embeds texts: so small a model is on one card",
            where=f"{where}.part",
            fix="give it one device and another server",
        )
    if not model.flash_attention and model.cache_type != "f16":
        yield BadParameter(
            f"{model.name} keeps values in {model.cache_type}, which needs flash attention",
            where=f"{where}.flash_attention",
            fix="write  flash_attention: true, or  cache_type: f16",
        )
    if model.context_tokens > model.part.context_length:
        yield BadParameter(
            f"{model.name} is to have {model.context_tokens} tokens, and was trained for "
            f"{model.part.context_length}",
            where=f"{where}.context_tokens",
            fix=f"write {model.part.context_length} at most",
        )


def _wrong_size(pool: Pool) -> Iterator[BadParameter]:
    """A model that the cards have no room for, or that needs fewer of them."""
    model, layers = pool.model, pool.layers
    if sum(layers) < model.part.n_layer:
        needed = sum(pool.layer_bytes) + weights(model.part, model.quant).output_bytes
        left = [f"{each.device} {format_ibytes(pool.room_bytes(each))}" for each in pool.cards]
        yield BadParameter(
            f"{model.name} has {model.part.n_layer} layers, and the cards have room for "
            f"{sum(layers)}: weights and cache take {format_ibytes(needed)}, and on each card "
            f"{format_ibytes(pool.reserve_bytes)} go beside; there are {', '.join(left)}"
            f"{beside(pool.others.values())}",
            where=f"models.{model.name}",
            fix="a smaller quant, a smaller context_tokens, cache_type q8_0, another card, or one "
            "without Ollama's models",
        )
    elif not all(layers):
        idle = next(c.device for c, n in zip(pool.cards, layers, strict=True) if not n)
        yield BadParameter(
            f"{model.name} leaves no layer for {idle}{beside(pool.others.values())}",
            where=f"services.{pool.name}.devices",
            fix="take that card out: each further machine costs time",
        )
