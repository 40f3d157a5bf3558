"""Where things are. A notebook's working folder depends on who runs it, so nothing is relative."""

import hashlib
import os
from pathlib import Path


def root() -> Path:
    """The project's folder: ``HOMELAB_ROOT``, or the one this library stands in."""
    given = os.environ.get("HOMELAB_ROOT")
    return Path(given).expanduser().resolve() if given else Path(__file__).resolve().parent.parent


def data() -> Path:
    """The shipped lab and the catalog."""
    return root() / "data"


def reports() -> Path:
    """Where runs leave their records: ``HOMELAB_REPORTS``, or ``reports/``."""
    given = os.environ.get("HOMELAB_REPORTS")
    return Path(given).expanduser().resolve() if given else root() / "reports"


def state(lab: str) -> Path:
    """What outlives a run and is nobody's report: the lab's lock, pinned host keys, plans.

    It belongs to the person, not to a checkout: two clones must not work on one lab at once.
    """
    base = os.environ.get("HOMELAB_STATE") or os.environ.get("XDG_STATE_HOME")
    home = Path(base).expanduser() if base else Path.home() / ".local" / "state"
    return home / "homelab" / lab


def pins(lab: str, ssh_config: Path | None) -> Path:
    """The host keys that runs of ours have pinned for a lab.

    What is reached by an SSH configuration of its own (a served twin, say) has pins of its own: no
    key of a machine that isn't there is ever taken for that of one that is.
    """
    if ssh_config is None:
        return state(lab) / "known_hosts"
    way = hashlib.sha256(str(ssh_config.resolve()).encode()).hexdigest()[:12]
    return state(lab) / f"known_hosts.{way}"


def certificates(lab: str, ssh_config: Path | None) -> list[Path]:
    """The certificates of services that somebody has vouched for: our own file first, then the one
    that lies beside an SSH configuration of its own."""
    ours = pins(lab, ssh_config)
    found = [ours.with_name(ours.name.replace("known_hosts", "certificates"))]
    return found if ssh_config is None else [*found, ssh_config.with_name("certificates")]


def shown(path: Path) -> str:
    """A path for a person: from the project's folder where they are in there too, and it is."""
    near = path.is_relative_to(root()) and Path.cwd().is_relative_to(root())
    return str(path.relative_to(root())) if near else str(path)


def locate(given: str) -> Path:
    """A path a person typed: as it stands if it is there, else from the project's folder.

    Notebooks run in different working folders; ``data/examples/minipc`` should work in all.
    """
    path = Path(given).expanduser()
    return path if path.is_absolute() or path.exists() else root() / path
