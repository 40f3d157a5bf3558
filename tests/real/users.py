"""An unprivileged user of this machine, for as long as a test needs one."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from real.opensshd import until

NO_PASSWORD = "ALL=(ALL) NOPASSWD: ALL"
WITH_PASSWORD = "ALL=(ALL) ALL"


@contextmanager
def user(
    suffix: str,
    key: str,
    *,
    sudo: str = "",
    defaults: str = "",
    shell: str = "/bin/sh",
    home: Path | None = None,
    group: str = "",
) -> Iterator[str]:
    """A new user who is let in with `key`; gone afterwards, home and all.

    Parameters
    ----------
    suffix
        A letter or two that tell this user from the others of the run.
    key
        The public key.
    sudo
        What a line of sudoers says of the user; empty for nothing.
    defaults
        What holds there for this user alone: ``requiretty``.
    shell
        The login shell.
    home, group
        Another home than ``/home/NAME``, and another primary group than one of that name.
    """
    name = f"hl{os.getpid()}{suffix}"
    home = home or Path("/home") / name
    groups = ["-N", "-g", group] if group else ["-U"]
    with ExitStack() as made:
        # "*" fits no password; without it the account counts as locked, and sshd refuses it.
        words = ["useradd", "-m", "-d", str(home), "-s", shell, "-p", "*", *groups, name]
        subprocess.run(words, check=True, capture_output=True)
        made.callback(until, f"{name} is gone", lambda: _remove(name))
        (home / ".ssh").mkdir()
        (home / ".ssh/authorized_keys").write_text(f"{key}\n")
        if sudo:
            rule = Path("/etc/sudoers.d") / name
            made.callback(rule.unlink, missing_ok=True)
            rule.touch(mode=0o440)
            more = f"Defaults:{name} {defaults}\n" if defaults else ""
            rule.write_text(f"{name} {sudo}\n{more}")
        yield name


def _remove(name: str) -> bool:
    """Whether the user is gone; not as long as something of theirs runs."""
    return subprocess.run(["userdel", "-r", name], capture_output=True).returncode == 0


def why_no_users() -> str:
    """Why `user` can't work here; empty if it can."""
    if os.geteuid() != 0:
        return "making users needs root"
    missing = [tool for tool in ("useradd", "userdel") if shutil.which(tool) is None]
    return f"this machine has no {', '.join(missing)}" if missing else ""
