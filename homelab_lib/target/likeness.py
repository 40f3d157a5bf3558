"""What a twin asks real hosts in order to become them: reading commands only."""

from collections.abc import Container, Sequence

from homelab_lib.errors import (
    AuthenticationRefused,
    HomelabError,
    HostKeyRefused,
    NotYet,
    Unreachable,
)
from homelab_lib.runbook.host import Link
from homelab_lib.runbook.patience import PATIENCE_S, Patience
from homelab_lib.transport.command import read

Answer = tuple[int, str, str]
"""Exit status, output, errors."""

_BOOT_S = 120.0  # what a VM that runs is given to let us in


class Likeness:
    """Asks hosts, and remembers which of them could not be asked.

    A host that is off is an answer, too. One that is not who it was, or does not let us in, is
    none: that stops the plan. A VM may be on its way, and not known yet.

    Parameters
    ----------
    link, patience
        What carries the questions, and how long is waited where the answer is "not yet".
    vms
        The machines that a hypervisor knows of. One is asked only where that says that it runs:
        then it may still be booting.
    strangers
        Those of them whose host key nobody knows.

    Attributes
    ----------
    unreached
        Those that could not be asked, by name: why.
    """

    def __init__(
        self, link: Link, patience: Patience, vms: Container[str], strangers: Container[str]
    ) -> None:
        self.strangers = strangers
        self.unreached: dict[str, HomelabError] = {}
        self._link = link
        self._patience = patience
        self._vms = vms

    def ask(self, host: str, argv: Sequence[str]) -> Answer | None:
        """What a host answers; None where it can't be asked.

        Raises
        ------
        HostKeyRefused, AuthenticationRefused
            It is no VM, and is not who it was, or does not let us in.
        NotYet
            It went on saying "not yet".
        HomelabError
            It is there, and could not be asked: it took too long, say.
        """
        if host in self.unreached:
            return None
        call = read(*argv, sudo=True)
        boots = host in self._vms and host not in self.strangers
        until = self._patience.clock.now() + (_BOOT_S if boots else PATIENCE_S)
        try:
            with self._patience.until(until, lost=boots):
                result = self._patience.ask(host, call, lambda: self._link.run(host, call))
        except NotYet:
            raise
        except (HostKeyRefused, AuthenticationRefused) as error:
            if host not in self._vms:
                raise
            self._missed(host, error)
            return None
        except Unreachable as error:
            self._missed(host, error)
            return None
        return result.exit_status, result.stdout, result.stderr

    def _missed(self, host: str, error: HomelabError) -> None:
        """A stranger is left out: its twin boots from the image that it was made from."""
        if host not in self.strangers:
            self.unreached[host] = error
