"""A copy of a TrueNAS's whole configuration, as it is at one moment.

`config.save` gives it through a pipe of the middleware's web server: a download is asked for, and
fetched with the token that comes back, which stands in no list of processes. It holds the key to
every stored password, so nobody but root reads it, and of what is in it nothing leaves the NAS.

Source: TrueNAS middleware 25.04 to 26, `config.save`, `core.download`.
"""

import re
from dataclasses import dataclass
from typing import Any

from homelab_lib import answers
from homelab_lib.answers import Shape, whole
from homelab_lib.control.truenas.midclt import call
from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change

_GENERAL: Shape = {"ui_httpsport": whole}
_BEGINS = "freenas-v1.db"  # the name of the first file in it
_NOT_THERE = "No such file or directory"
_SAVE = (
    'set -e; umask 077; n="$1.homelab-new"; trap \'rm -f -- "$n"\' EXIT; mkdir -p -- "${1%/*}"; '
    "said=$(midclt call core.download config.save "
    '\'[{"secretseed": true, "root_authorized_keys": true}]\' homelab.tar); '
    'place=$(printf \'%s\' "$said" | sed \'s/^[^"]*"//; s/".*$//\'); '
    'printf \'url = "https://127.0.0.1:%s%s"\\n\' "$2" "$place" | curl -fsSk -m 100 -o "$n" -K -; '
    f'[ "$(head -c {len(_BEGINS)} -- "$n")" = {_BEGINS} ]; '
    'mv -fT -- "$n" "$1"; trap - EXIT'
)


@dataclass(frozen=True)
class ConfigBackup:
    """A copy of the configuration that lies in a file of the NAS, for root alone.

    Parameters
    ----------
    host, path
        Which NAS, and where on it.
    """

    host: str
    path: str
    timeout_s: float = 120.0

    @property
    def name(self) -> str:
        return f"configuration of {self.host} in {self.path}"

    def observe(self, host: Host) -> dict[str, Any]:
        words = ("stat", "--printf", "%a %s", "--", self.path)
        shown = host.read(*words, ok=(0, 1), sudo=True)
        if shown.exit_status and _NOT_THERE not in shown.stderr:
            raise StepFailed(
                f"{host.name} can't say whether {self.path} is there: {shown.stderr.strip()}",
                where=f"{host.name}: {self.path}",
                fix="run `stat` on it there as root, and see to what it complains of",
            )
        port = call(host, "system.general.config", shape=_GENERAL)["ui_httpsport"]
        if shown.exit_status:
            return {"there": False, "port": port}
        found = re.fullmatch(r"([0-7]{1,4}) (\d{1,18})", shown.stdout.strip(), re.ASCII)
        if found is None:
            raise answers.not_understood(host.name, " ".join(words), "expected mode and size")
        return {"there": True, "mode": found[1], "size_bytes": int(found[2]), "port": port}

    def diff(self, observed: dict[str, Any]) -> Diff:
        if not observed["there"]:
            command = change("sh", "-c", _SAVE, "sh", self.path, str(observed["port"]), sudo=True)
            summary = f"keep a copy of the configuration in {self.path}"
            return Diff((Change(summary, command, undo=f"rm {self.path}"),))
        if observed["mode"] != "600" or not observed["size_bytes"]:
            return Diff(
                conflict=f"{self.path} on {self.host} is no copy of ours: it has mode "
                f"{observed['mode']} and {observed['size_bytes']} bytes. Look at it, then move it "
                "away"
            )
        return Diff()


def sealed(host: Host, path: str) -> str:
    """What tells one copy from another, and is of no use to anybody else."""
    digest = host.read("sha256sum", "--", path, sudo=True).stdout.partition(" ")[0]
    return host.seal(digest)
