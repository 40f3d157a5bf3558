"""How the machines of a lab are logged into, and whose certificates their services may show."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from homelab_lib import paths
from homelab_lib.lab import Lab
from homelab_lib.lab.guests import Vm
from homelab_lib.lab.host import Host
from homelab_lib.transport.certificates import pin as pin_certificate
from homelab_lib.transport.endpoint import Endpoint


def vouched(lab: Lab, config: Path | None) -> list[Path]:
    """Files of the certificates that are taken; the lab's own are in them."""
    files = paths.certificates(lab.name, config)
    for name, host in lab.hosts.items():
        if host.api is not None and (digest := host.api.certificate_sha256):
            pairs = [digest[at : at + 2] for at in range(0, len(digest), 2)]
            pin_certificate(files[0], f"{name}:{host.api.port}", ":".join(pairs).upper())
    return files


def endpoints(lab: Lab, config: Path | None) -> dict[str, Endpoint]:
    """Where each machine is reached. `ssh` is asked for all of them at once."""
    machines = lab.machines()
    with ThreadPoolExecutor(max(len(machines), 1)) as pool:
        found = pool.map(partial(resolve_login, config=config), machines, machines.values())
        return dict(zip(machines, found, strict=True))


def resolve_login(name: str, machine: Host | Vm, config: Path | None, leased: str = "") -> Endpoint:
    """Where a machine is reached; `leased` is the address that DHCP has given it."""
    address, port, user = _login(machine)
    return Endpoint.resolve(name, address=leased or address, port=port, user=user, config=config)


def _login(machine: Host | Vm) -> tuple[str | None, int, str]:
    """Address, port and user of a host or a VM of the lab."""
    if isinstance(machine, Vm):
        return machine.ip, 22, machine.user
    ssh = machine.ssh
    return (ssh.address, ssh.port, ssh.user) if ssh else (None, 22, "")
