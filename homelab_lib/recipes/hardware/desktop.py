"""What people work with on the machine they sit at: packages, tools, and a key of their own."""

from collections.abc import Iterator

from homelab_lib.control.linux import Packages, login
from homelab_lib.control.linux.tools import Tool
from homelab_lib.errors import BadParameter, Unreachable
from homelab_lib.lab import Lab
from homelab_lib.lab.host import Host
from homelab_lib.runbook.step import Check, Context, Manual, Step, Wanted

MAKES: tuple[str, ...] = ("hosts",)
_DEBIAN = ("debian", "ubuntu", "linux")


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The tools of the hosts that a phase sets up.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.

    Raises
    ------
    BadParameter
        A host is to get tools, and nobody may log in there, or it is of a kind that has none.
    """
    hosts = [h for h in lab.hosts.values() if h.phase == phase and (h.tools or h.packages)]
    for host in hosts:
        end = f"-{host.name}" if len(hosts) > 1 else ""
        desk = Desk(lab, host)
        yield Step(
            f"tools{end}",
            f"Install the tools of {host.title}",
            why="Packages are the distribution's own. Tools that it does not have come at a pinned "
            "version with its checksum, into the user's own ~/.local/bin and with the user's own "
            "rights: nothing of the system changes, and removing one is removing a file.",
            ensure=desk.ensure,
            check=desk.check,
        )
        yield Step(
            f"key{end}",
            f"Have a login key of your own on {host.title}",
            why="You go on to the other machines from here. A key is made by whoever uses it, "
            "under a passphrase that no program knows, so it is not made for you.",
            manual=Manual(
                f"on {host.title}, as the user you work as: ssh-keygen -t ed25519",
                verify=desk.key,
                or_confirmed=True,
            ),
        )


class Desk:
    """A machine that somebody sits at; see `steps`."""

    def __init__(self, lab: Lab, host: Host) -> None:
        self.lab = lab
        self.host = host
        if host.name not in lab.machines() or host.standalone or host.os.kind not in _DEBIAN:
            raise BadParameter(
                f"{host.name} is to get tools, and runs {host.os.kind}, or no runbook logs in",
                where=f"hosts.{host.name}.tools",
                fix=f"tools are installed on {', '.join(_DEBIAN)}, over SSH; take them out there, "
                "or give it an ssh login",
            )

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """Packages first: one of them may be what fetches."""
        if self.host.packages:
            yield Packages(self.host.name, self.host.packages)
        account = login(ctx.host(self.host.name))
        for name in self.host.tools:
            download = self.lab.downloads[name]
            yield Tool(
                self.host.name,
                name,
                account,
                download.url,
                download.sha256,
                download.member or "",
                download.version,
                download.size_bytes,
                lab=self.lab.name,
            )

    def check(self, ctx: Context) -> Iterator[Check]:
        """Each starts: it is a program of this machine's kind."""
        host = ctx.host(self.host.name)
        folder = f"{login(host).home}/.local/bin"
        for name in self.host.tools:
            runs = host.read("test", "-x", f"{folder}/{name}", ok=(0, 1)).exit_status == 0
            yield Check(f"{name} is on {self.host.name}", runs, f"{folder}/{name}")

    def key(self, ctx: Context) -> Check:
        """Whether the user has a key pair."""
        title = f"there is a login key on {self.host.name}"
        try:
            host = ctx.host(self.host.name)
            words = ("-maxdepth", "1", "-name", "id_*.pub", "-type", "f")
            found = host.read("find", f"{login(host).home}/.ssh", *words, ok=(0, 1)).stdout
        except Unreachable as error:
            return Check(title, False, error.what)
        names = ", ".join(sorted(found.split()))
        return Check(title, bool(names), names or "no id_*.pub in ~/.ssh")
