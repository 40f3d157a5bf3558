"""One machine of the twin: its state, and the commands it knows."""

import copy
import hashlib
import json
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from homelab_lib.errors import HomelabError
from homelab_lib.twin.machine import login, nfs
from homelab_lib.twin.machine.account import Accounts
from homelab_lib.twin.machine.bus import Function
from homelab_lib.twin.machine.columns import Row
from homelab_lib.twin.machine.devices import root_disk
from homelab_lib.twin.machine.entry import ACCESS, PASS, Facts, FileError, Who
from homelab_lib.twin.machine.files import FileSystem
from homelab_lib.twin.machine.https import Handler, Identity
from homelab_lib.twin.machine.interface import Interface
from homelab_lib.twin.machine.memory_module import Module
from homelab_lib.twin.machine.nfs import NfsServer, NfsShare
from homelab_lib.twin.machine.program import Body, Call, Commands, Reply
from homelab_lib.twin.machine.surroundings import Ask, Export, Surroundings
from homelab_lib.twin.machine.tree import Tree
from homelab_lib.twin.machine.unit import Unit
from homelab_lib.twin.machine.usage import Misused
from homelab_lib.twin.packet import Packet

BOOT_S = 40.0
NOLOGIN = "/run/nologin"
_BOOTING = (
    '"System is booting up. Unprivileged users are not permitted to log in yet. Please come back '
    'later. For technical details, see pam_nologin(8)."\n'
)
Page = Callable[[str, dict[str, str]], tuple[int, bytes] | tuple[int, bytes, float]]
"""Is given a path and headers; answers with status and body, and how long that takes [s]."""
Instead = Callable[[Call, Callable[[], Reply]], Reply | None]
"""Is given a call and what runs it; may answer in its place, or leave it with None."""
_PACKAGES = {
    "cloudflared": "cloudflared",
    "curl": "curl",
    "dmidecode": "dmidecode",
    "etcdctl": "etcd-client",
    "haproxy": "haproxy",
    "lspci": "pciutils",
    "pdbedit": "samba",
    "prometheus-node-exporter": "prometheus-node-exporter",
    "smbclient": "smbclient",
    "smbpasswd": "samba",
    "testparm": "samba",
    "restic": "restic",
    "tailscale": "tailscale",
    "wg": "wireguard-tools",
    "wg-quick": "wireguard-tools",
    "wget": "wget",
    "xmllint": "libxml2-utils",
    "zstd": "zstd",
}
"""Programs that not every Debian has, and the packages that they are in."""
_SKELETON = (".bashrc", ".profile")
"""What every Debian puts into a home."""
_LOG = logging.getLogger(__name__)


def own_fault(where: str, error: Exception | str) -> Reply:
    """What a client hears of a mistake in the twin itself: no real machine says this."""
    what = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    return Reply(70, stderr=f"twin: fault in {where}: {what}\n")


class Machine:
    """A machine with a shell.

    Parameters
    ----------
    name
        Its name in the lab.
    world
        The world it is in.
    user
        Whom SSH lets in.
    commands
        The sets of programs it knows, most special first.
    """

    filters = False  # whether it has rules of its own for what passes
    holds_back = ""  # why nothing passes it, whatever its rules say
    brings_agent = False  # whether its system has QEMU's guest agent, without anybody's doing

    def __init__(
        self,
        name: str,
        world: Surroundings,
        *,
        user: str = "root",
        commands: Iterable[Commands] = (),
    ) -> None:
        self.name = name
        self.world = world
        self.user = user
        self.commands = list(commands)
        self.files = FileSystem()
        self.interfaces: list[Interface] = []
        self.units: dict[str, Unit] = {}
        self.packages: dict[str, str] = {}
        self.modules: set[str] = set()
        self.sysctl: dict[str, str] = {}
        self.kept: dict[str, Any] = {}  # what daemons keep, by their names
        self.listeners: dict[int, Callable[[], bool]] = {22: lambda: True}
        self.accounts = Accounts()
        self.accounts.add(user)
        self.http: dict[int, Page] = {}
        self.tls: dict[int, Callable[[str], str]] = {}  # of a server's name, the chain it shows
        self.nfs_shares: list[NfsShare] = []
        self.nfs_server: NfsServer | None = None  # brought by its package
        self.https: dict[int, Handler] = {}  # on its loopback, reached through SSH
        self.ask: Ask | None = None  # the real host behind a seeded machine
        self._ahead_s: float | None = None  # of the world's clock, as the real host's is
        self._told: dict[tuple[str, ...], tuple[int, str, str] | None] = {}
        self.refused: dict[str, Reply] = {}  # what the real host's programs said that failed
        self.kernel = "6.12.48+deb13-amd64"
        self.os_release = ("debian", "13", "Debian GNU/Linux 13 (trixie)")
        self.cpu_model = "Twin"
        self.threads = 1
        self.memory_bytes = 2**30
        self.modules_fitted: list[Module] = []  # of memory
        self.bus: list[Function] = []  # what its slots hold
        self.bus_is_known = False  # whether that is so, whatever the real machine behind it says
        self.blocks = [root_disk("sda", 32 * 2**30)]  # what disks there are
        self.root_source, self.root_fstype, self.root_bytes = "/dev/sda1", "ext4", 32 * 2**30
        # What is on a block device of its own: file system and kind, or why it can't be mounted.
        self.on_device: Callable[[Machine, str, str], tuple[Tree, str] | str] | None = None
        self.up = True
        self.closed = False  # what is inside is not known, and nobody gets in
        self.boots = 0
        self.booted_s = world.clock.now() - 86400.0
        self.nologin_s = 0.0  # how long after a boot PAM lets in nobody but root
        self.sshd_after_s = 0.0  # how long after a boot sshd begins to listen
        self.not_started: tuple[str, ...] = ()  # services that a boot forgets
        self.instead: list[Instead] = []  # what may answer in a program's place
        self.journal: list[tuple[str, str]] = []  # invocation, line
        self.host_key = self._key("host-key")

    # ------------------------------------------------------------------ identity

    def _key(self, purpose: str) -> Ed25519PrivateKey:
        seed = hashlib.sha256(f"{self.world.seed}/{self.name}/{purpose}".encode()).digest()
        return Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def host_key_public(self) -> str:
        """``ssh-ed25519 AAAA…``"""
        public = self.host_key.public_key()
        return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()

    @cached_property
    def https_identity(self) -> Identity:
        """Whom its HTTPS services show themselves as."""
        return Identity(self.name, self._key("https"))

    @property
    def identity(self) -> str:
        """``/etc/machine-id``"""
        return hashlib.sha256(f"{self.world.seed}/{self.name}/machine-id".encode()).hexdigest()[:32]

    @property
    def address(self) -> str:
        """Its first address; empty for none."""
        return next((i.address for i in self.interfaces if i.cidr), "")

    @property
    def rng(self) -> random.Random:
        return self.world.rng

    @property
    def home(self) -> str:
        return self.home_of(self.user)

    def home_of(self, user: str) -> str:
        known = self.accounts.users.get(user)
        return known.home if known else f"/home/{user}"

    def who(self, call: Call) -> Who:
        """Whose process a call is."""
        groups = self.accounts.groups_of(call.user)
        return Who(call.user, groups[0], frozenset(groups), call.umask)

    def make_home(self, user: str, mode: int = 0o700) -> None:
        """Make a user's home, as `adduser` does."""
        owners: Facts = {"user": user, "group": self.accounts.group_of(user)}
        self.files.make_folder(self.home_of(user), mode=mode, **owners)
        for name in _SKELETON:
            self.files.put(f"{self.home_of(user)}/{name}", f"# ~/{name}\n", **owners)

    def lets_in(self) -> set[str] | None:
        """The public keys that may log in; None: those of the operator."""
        return None

    def accepts_logins(self) -> bool:
        """Whether its sshd answers."""
        listens_s = self.booted_s + self.sshd_after_s
        return self.up and not self.closed and self.world.clock.now() >= listens_s

    def sees_disk(self, name: str) -> bool:
        """Whether its kernel drives a disk that is in it: ``sdb``."""
        return True

    def plugged(self, disks: Sequence[Row]) -> None:
        """It is off, and these are the disks in it from now on, as `lsblk` will show them."""
        self.blocks = list(disks)

    def offers(self, package: str) -> bool:
        """Whether its package sources have something beside what every Debian's have."""
        return False

    def refuses(self, packet: Packet, arrives: str, leaves: Interface | None) -> str | None:
        """The rule by which it refuses a packet; None where it passes. See `Box.refuses`."""
        return None

    def reaches_outside(self) -> bool:
        """Whether it has a way of its own to the internet."""
        return False

    def forbid_logins(self) -> None:
        """Let in nobody but root for a while, as systemd does until the system has booted."""
        self.files.put(NOLOGIN, _BOOTING)
        boots = self.boots

        def over() -> None:
            if self.boots == boots:
                self.files.entries.pop(NOLOGIN, None)

        self.world.after(self.nologin_s, over, label="systemd-user-sessions")

    def nologin(self) -> str:
        """What PAM says to whoever logs in while logins are forbidden; empty when they aren't."""
        return self.files.text(NOLOGIN) if self.up and NOLOGIN in self.files.entries else ""

    def said(self, *argv: str) -> Reply | None:
        """What the real host behind a seeded machine answers to a command; None where there is no
        real host. It is asked once, when somebody first wants to know."""
        if self.ask is None:
            return None
        if argv not in self._told:
            try:
                self._told[argv] = self.ask(self.name, argv)
            except HomelabError as error:
                self._told[argv] = (1, "", f"{argv[0]}: {error.what}\n")
        nobody = (1, "", f"{argv[0]}: the real host could not be asked\n")
        return Reply(*(self._told[argv] or nobody))

    def told(self, *argv: str) -> Any:
        """The same as JSON.

        Raises
        ------
        Misused
            It fails there, and does so here.
        """
        answer = self.said(*argv)
        if answer is None:
            return None
        if answer.status != 0:
            raise Misused(answer)
        try:
            told = json.loads(answer.out)
        except (ValueError, RecursionError):
            told = None
        if told is None:
            what = f"the real host answers what is no JSON: {answer.out.decode()[:60]!r}"
            raise Misused(Reply(1, stderr=f"{argv[0]}: {what}\n"))
        return told

    def now_s(self) -> float:
        """What its clock says [s since 1970]; a seeded machine's goes on from the real host's."""
        if self._ahead_s is None and self.ask is not None:
            said = self.said("date", "+%s")
            self.goes_on_from(said.out.decode() if said is not None and not said.status else "")
        return self.world.clock.now() + (self._ahead_s or 0.0)

    def goes_on_from(self, date: str) -> None:
        """Set its clock by a real host's ``date +%s``; it is the twin's where that says nothing."""
        text = date.strip()
        self._ahead_s = float(text) - self.world.clock.now() if text.isdecimal() else 0.0

    # ----------------------------------------------------------------------- NFS

    def exports(self) -> list[dict[str, Any]]:
        """What it exports by NFS."""
        served = self.nfs_server.exports() if self.nfs_server else []
        return served + [{"path": s.path, "networks": list(s.networks)} for s in self.nfs_shares]

    def export_for(self, path: str, client: str) -> Export | None:
        """What a client gets that mounts `path`; None if it may not."""
        served = self.nfs_server.export_for(path, client) if self.nfs_server else None
        return served or nfs.export(self.nfs_shares, path, client)

    # ------------------------------------------------------------------- running

    def run(self, line: str, stdin: bytes = b"") -> Reply:
        """What its login shell makes of a line."""
        return self._guarded(
            "the shell", lambda: login.run(self, self.user, self.home, line, stdin)
        )

    def call(self, call: Call) -> Reply:
        """Run one program; a mistake of the twin's own ends it with status 70, aloud."""
        for each in self.instead:
            reply = each(call, lambda: self._call(call))
            if reply is not None:
                return reply
        return self._call(call)

    def _call(self, call: Call) -> Reply:
        word = call.argv[0]
        name = word.rpartition("/")[2]
        why = self._no_program(call) if "/" in word else ""
        if why == ACCESS or not word:
            return Reply(126 if word else 127, stderr=f"sh: 1: {word}: {ACCESS}\n")
        if name in self.refused:
            return self.refused[name]
        body = self.program(name)
        place = "" if body is not None or why else self._script(call)
        if place:
            call, body = call.other("sh", place, *call.argv[1:]), self.program("sh")
        if body is None or why:
            return Reply(127, stderr=f"sh: 1: {word}: not found\n")
        own, found = call, body
        return self._guarded(name, lambda: found(self, own))

    def _script(self, call: Call) -> str:
        """Where a script lies that one is called by path or found on ``$PATH``; empty for none."""
        word = call.argv[0]
        folders = [""] if "/" in word else call.env.get("PATH", "").split(":")
        for folder in folders:
            path = call.path(f"{folder}/{word}" if folder else word)
            entry = self.files.entry(path, self.who(call))
            if entry is not None and entry.kind == "file" and self.who(call).may(entry, PASS):
                return path
        return ""

    def program(self, name: str) -> Body | None:
        """What a program does; None where it isn't there, or its package is not."""
        if _PACKAGES.get(name, "") not in ("", *self.packages):
            return None
        return next((c.bodies[name] for c in self.commands if name in c.bodies), None)

    def _guarded(self, name: str, work: Callable[[], Reply]) -> Reply:
        try:
            reply = work()
        except Misused as error:
            return error.reply
        except FileError as error:
            return Reply(1, stderr=f"{name}: {error.says}\n")
        except Exception as error:
            _LOG.exception("twin: fault in %s on %s", name, self.name)
            return own_fault(name, error)
        finish = reply.finish
        if finish is None:
            return reply
        return replace(reply, finish=lambda: self._guarded(name, finish))

    def _no_program(self, call: Call) -> str:
        """Why a program given by its path can't be run; those of the system always can."""
        path = call.argv[0]
        if path.startswith(("/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/")):
            return ""
        try:
            entry = self.files.stat(call.path(path), self.who(call))
            self.who(call).need(entry, PASS)
            if entry.kind == "dir":
                return ACCESS
        except FileError as error:
            return error.says
        return ""

    def log(self, invocation: str, text: str) -> None:
        """Write lines to its journal."""
        self.journal += [(invocation, line) for line in text.splitlines()]

    # -------------------------------------------------------------------- power

    def power_off(self) -> None:
        """As if the plug was pulled: what ran is gone, what was written stays."""
        self.up = False
        self.world.went_down(self)
        for unit in self.units.values():
            unit.stopped_by_power()
        for unit in [u for u in self.units.values() if u.transient]:
            del self.units[unit.name]
        for path in [p for p in self.files.entries if p.startswith(("/run/", "/tmp/"))]:
            del self.files.entries[path]
        self.files.mounts = {t: m for t, m in self.files.mounts.items() if m.fstype == "zfs"}

    def power_on(self) -> None:
        """Boot; it answers once it is up."""
        self.boots += 1
        boots = self.boots
        self.world.after(BOOT_S, lambda: self._booted(boots), label=f"{self.name} boots")

    def _booted(self, boots: int) -> None:
        if boots != self.boots or self.up:
            return
        self.up = True
        self.booted_s = self.world.clock.now()
        self.world.came_up(self)
        if self.nologin_s:
            self.forbid_logins()
        for unit in self.units.values():
            if unit.enabled and unit.name not in self.not_started:
                unit.start(self)

    def reboot(self) -> None:
        """Restart."""
        self.power_off()
        self.power_on()

    def state(self) -> dict[str, Any]:
        """What has to be equal in two machines that were built alike."""
        return {
            "up": self.up,
            "files": {
                path: (entry.kind, oct(entry.mode), entry.user, entry.group, entry.sha256)
                for path, entry in sorted(self.files.entries.items())
                if not path.startswith(("/run", "/tmp", "/proc"))
            },
            "units": {
                name: (unit.active, unit.enabled)
                for name, unit in sorted(self.units.items())
                if not unit.transient
            },
            "packages": dict(sorted(self.packages.items())),
            "kept": copy.deepcopy(self.kept),
        }
