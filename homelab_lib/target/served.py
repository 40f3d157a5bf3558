"""A twin that stands by itself on loopback, with what `ssh` needs to reach it."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from homelab_lib import durable
from homelab_lib.lab import Lab
from homelab_lib.target.login_keys import key_pair, own_folder
from homelab_lib.transport.certificates import fingerprint
from homelab_lib.transport.certificates import pin as pin_certificate
from homelab_lib.twin.built import built
from homelab_lib.twin.clock import ScaledClock
from homelab_lib.twin.server import serve, ssh_config
from homelab_lib.twin.world import World


def vouch_for(world: World, file: Path) -> None:
    """Write down the certificates that a twin's machines show."""
    for name, machine in world.machines.items():
        for port in machine.https:
            shown = fingerprint(machine.https_identity.certificate)
            pin_certificate(file, f"{name}:{port}", shown)


class ServedTwin:
    """A twin that stands by itself until it is told to go.

    Parameters
    ----------
    lab
        The lab's name.
    names
        The machines that can be reached.
    """

    def __init__(self, lab: str, names: Sequence[str]) -> None:
        self.lab = lab
        self.names = tuple(names)

    def wait(self) -> None:
        """Until interrupted."""
        threading.Event().wait()


@contextmanager
def serve_twin(
    lab: Lab,
    folder: Path,
    *,
    before_phase: int,
    speed: float,
    base_port: int = 0,
    seed: int = 0,
    surprises: Sequence[tuple[str, str]] = (),
) -> Iterator[ServedTwin]:
    """Serve a twin on loopback and write what `ssh` needs to reach it.

    Parameters
    ----------
    lab
        The lab to stand up.
    folder
        Gets ``ssh_config``, ``known_hosts`` and a login key.
    before_phase
        How far the lab is built.
    speed
        Simulated seconds per second.
    base_port
        The first port; 0 takes any free ones.
    seed
        Seed of keys, MACs and faults.
    surprises
        What is to go otherwise than one expects: a surprise's name, and the machine.
    """
    own_folder(folder)
    identity, key = key_pair(folder)
    world = built(lab, before_phase=before_phase, seed=seed, clock=ScaledClock(speed))
    for surprise, machine in surprises:
        world.surprise(surprise, machine)
    with serve(world, authorized_keys=[key], base_port=base_port) as served:
        known_hosts = folder / "known_hosts"
        lines = "".join(f"{line}\n" for line in served.known_hosts())
        durable.replace(known_hosts, lines, mode=durable.PRIVATE)
        config = ssh_config(served, identity_file=identity, known_hosts_file=known_hosts)
        durable.replace(folder / "ssh_config", config, mode=durable.PRIVATE)
        vouch_for(world, folder / "certificates")
        yield ServedTwin(lab.name, list(served.endpoints))
