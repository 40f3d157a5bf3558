"""A world as its real hosts say it is."""

from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager

import yaml

from homelab_lib.errors import HomelabError
from homelab_lib.lab import Lab
from homelab_lib.twin.built import built
from homelab_lib.twin.clock import Clock
from homelab_lib.twin.machine.seeding import seed_machine
from homelab_lib.twin.machine.surroundings import Ask
from homelab_lib.twin.world import World

_BEFORE_ANY_PHASE = 0


def seeded(
    lab: Lab,
    ask: Ask,
    *,
    fresh: Container[str] = (),
    seed: int = 0,
    clock: Clock | None = None,
) -> World:
    """The lab as its real hosts say it is: they are asked by reading commands.

    Parameters
    ----------
    lab
        What is known of it beforehand: hosts, wires, networks.
    ask
        Runs a reading command on a host.
    fresh
        VMs that run and that nobody has been in: where they can't be asked, they are taken for
        booting from the image that they were made from. Any other that can't be asked is what it
        is, and nothing is known of it.
    seed, clock
        As for `built`.

    Raises
    ------
    HomelabError
        A host answers what its twin can't make anything of.
    """
    world = built(lab, before_phase=_BEFORE_ANY_PHASE, seed=seed, clock=clock)
    world.fresh = fresh
    asking = _Remembering(ask)
    world.clusters.clear()  # those there are, their servers tell
    for name, machine in list(world.machines.items()):
        if name not in lab.hosts:
            continue  # a guest; its node is asked about it
        host = lab.hosts[name]
        if host.ssh is None:
            continue  # nobody logs in there: it is what the lab says
        with _understood(name, asking):
            if not seed_machine(machine, asking):
                machine.up = False
            elif host.os.kind in world.kinds:
                world.kinds[host.os.kind].seed(machine, asking)
    for name, vm in lab.vms.items():
        kind = world.kinds.get(vm.os.kind) if vm.os is not None else None
        found = world.machines.get(name)
        if kind is not None and kind.in_vms and found is not None and found.up:
            with _understood(name, asking):
                if seed_machine(found, asking):
                    kind.seed(found, asking)
                else:
                    found.up, found.closed = False, True  # it is no empty one, whatever starts it
    for machine in list(world.machines.values()):
        for seed_more in world.seeds:
            with _understood(machine.name, asking):
                seed_more(machine, asking)
    return world


class _Remembering:
    """Asks, and remembers what was asked last."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.last = ""

    def __call__(self, host: str, argv: Sequence[str]) -> tuple[int, str, str] | None:
        self.last = f"{host}: {' '.join(argv)}"
        return self._ask(host, argv)


@contextmanager
def _understood(name: str, asking: _Remembering) -> Iterator[None]:
    """That a host answers in another form than ours is nobody's mistake to be shown a traceback."""
    try:
        yield
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        OSError,
        RecursionError,
        TypeError,
        ValueError,
        yaml.YAMLError,
    ) as error:
        raise HomelabError(
            f"{name} answers what its twin can't make anything of ({type(error).__name__}: "
            f"{str(error)[:200]!r}), so nothing can be planned for it",
            where=asking.last or name,
            fix="its version may be one that we do not know, or something answers in its place",
        ) from None
