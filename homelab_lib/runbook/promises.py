"""What a change must not do, whatever the plan says."""

from collections.abc import Container

from homelab_lib.errors import Refused
from homelab_lib.runbook.resource import Change
from homelab_lib.secret import Mask


def destroys_only(change: Change, allowed: Container[str], where: str) -> None:
    """See that a change destroys nothing but what was named as free for it.

    Parameters
    ----------
    change
        The change.
    allowed
        The names.
    where
        Its place, for whoever is told.

    Raises
    ------
    Refused
        With what has to be named.
    """
    missing = [name for name in change.destroys if name not in allowed]
    if missing:
        names = ", ".join(f'"{name}"' for name in missing)
        raise Refused(
            f"this would destroy {', '.join(missing)}: {change.summary}",
            where=where,
            fix=f"if that is what you want, name it: allow_destroy=[{names}]",
        )


def shows_no_secret(change: Change, mask: Mask, where: str) -> None:
    """See that no secret stands on a command line: it would be in every process list.

    Parameters
    ----------
    change
        The change.
    mask
        Knows the secrets.
    where
        Its place, for whoever is told.

    Raises
    ------
    Refused
        It is a fault of ours.
    """
    if mask(change.call.line) != change.call.line:
        raise Refused(
            f"a secret would stand on a command line: {mask(change.call.line)}",
            where=where,
            fix="this is a fault of the runbook: secrets go by standard input",
        )
