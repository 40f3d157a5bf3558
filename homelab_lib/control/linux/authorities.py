"""Certificate authorities that a machine believes besides those of its distribution.

Source: Debian, update-ca-certificates(8).
"""

from dataclasses import dataclass

from homelab_lib.control.linux.looking import read_file
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change

FOLDER = "/usr/local/share/ca-certificates"
_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True)
class Believed:
    """An authority whose certificate is among those that the machine's programs believe.

    Parameters
    ----------
    host, path
        The machine, and the certificate: a ``.crt`` in `FOLDER`.
    """

    host: str
    path: str
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"trust in {self.path.rpartition('/')[2]}"

    def observe(self, host: Host) -> dict[str, bool]:
        certificate = read_file(host, self.path).strip()
        return {"believed": bool(certificate) and certificate in read_file(host, _BUNDLE)}

    def diff(self, observed: dict[str, bool]) -> Diff:
        if observed["believed"]:
            return Diff()
        undo = f"rm {self.path}; update-ca-certificates --fresh"
        call = change("update-ca-certificates", sudo=True)
        return Diff((Change(f"believe {self.path}", call, undo=undo),))
