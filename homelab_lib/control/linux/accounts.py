"""Accounts as the host knows them: they may come from a directory, and live anywhere."""

from dataclasses import dataclass

from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import Host


@dataclass(frozen=True)
class Account:
    """Somebody who may log in: name, primary group, and home folder."""

    user: str
    group: str
    home: str

    @property
    def owner(self) -> str:
        """As `chown` has it: ``user:group``."""
        return f"{self.user}:{self.group}"


def login(host: Host) -> Account:
    """The account that we log in with.

    Raises
    ------
    StepFailed
        The host names no home for it.
    """
    return account(host, host.read("id", "-un").stdout.strip())


def account(host: Host, user: str) -> Account:
    """A user's account.

    Parameters
    ----------
    host, user
        The machine, and the user's name.

    Raises
    ------
    StepFailed
        The host knows no such user, or names no home for it.
    """
    fields = host.read("getent", "passwd", user, ok=(0, 2)).stdout.strip().split(":")
    if len(fields) < 7 or not fields[5].startswith("/"):
        raise StepFailed(
            f"{host.name} does not say where the home of {user} is",
            where=host.name,
            fix=f"see there what `getent passwd {user}` prints",
        )
    group = host.read("id", "-gn", user).stdout.strip()
    return Account(user, group, fields[5].rstrip("/") or "/")
