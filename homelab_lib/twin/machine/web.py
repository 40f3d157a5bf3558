"""A machine's own web interface: that it answers, and what it shows itself by."""

from functools import cache

from homelab_lib.twin.machine.certificates import drawn, issued
from homelab_lib.twin.machine.machine import Machine

_DAY_S = 86_400.0


def serves(machine: Machine, port: int, *, days: float) -> None:
    """Have its web interface answer, by a certificate that it has issued itself.

    Parameters
    ----------
    machine, port
        Which, and where.
    days
        How long the certificate is good from now on [days].
    """
    now_s = machine.world.clock.now()

    @cache
    def pem() -> str:
        key = drawn(f"{machine.world.seed}/{machine.name}/web/{port}/{now_s}")
        return issued([machine.name], key, None, now_s=now_s, valid_s=days * _DAY_S).pem

    machine.tls[port] = lambda name: pem()
    machine.http.setdefault(port, lambda path, headers: (200, b"<html></html>"))
    machine.listeners.setdefault(port, lambda: machine.up)
