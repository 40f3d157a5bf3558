"""One machine of the twin: its state, and the commands it knows."""

import hashlib
import random
from collections.abc import Callable, Iterable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from homelab_lib.twin.machine.files import FileError, FileSystem
from homelab_lib.twin.machine.interface import Interface
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.machine.shell import Shell, simple
from homelab_lib.twin.machine.surroundings import Ask, Surroundings
from homelab_lib.twin.machine.unit import Unit

BOOT_S = 40.0


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
        self.listeners: dict[int, Callable[[], bool]] = {22: lambda: True}
        self.accounts = {"root", "nobody", user}
        self.homes: dict[str, str] = {}  # of those whose home is elsewhere
        self.groups: dict[str, str] = {}  # of those whose primary group has another name
        self.http: dict[int, Callable[[str, dict[str, str]], tuple[int, bytes]]] = {}
        self.ask: Ask | None = None  # the real host behind a seeded machine
        self.kernel = "6.12.48+deb13-amd64"
        self.os_release = ("debian", "13", "Debian GNU/Linux 13 (trixie)")
        self.cpu_model = "Twin"
        self.threads = 1
        self.memory_bytes = 2**30
        self.up = True
        self.boots = 0
        self.booted_s = world.clock.now() - 86400.0
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

    @property
    def address(self) -> str:
        """Its first address; empty for none."""
        return next((i.address for i in self.interfaces if i.cidr), "")

    @property
    def boot_id(self) -> str:
        text = hashlib.sha256(f"{self.world.seed}{self.name}{self.boots}".encode()).hexdigest()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:32]}"

    @property
    def rng(self) -> random.Random:
        return self.world.rng

    @property
    def home(self) -> str:
        return self.home_of(self.user)

    def home_of(self, user: str) -> str:
        return self.homes.get(user) or ("/root" if user == "root" else f"/home/{user}")

    def lets_in(self) -> set[str] | None:
        """The public keys that may log in; None: those of the operator."""
        return None

    def accepts_logins(self) -> bool:
        """Whether its sshd answers."""
        return self.up

    # ------------------------------------------------------------------- running

    def run(self, line: str, stdin: bytes = b"") -> Reply:
        """What its login shell makes of a line."""
        words = simple(line)
        if words is not None:
            return self.call(Call(words, stdin, self.user, {"HOME": self.home}))
        shell = Shell(self.call, self.files, self.user, {"HOME": self.home}, ("sh",))
        return shell.run(line, stdin)

    def call(self, call: Call) -> Reply:
        """Run one program."""
        name = call.argv[0].rpartition("/")[2]
        if "/" in call.argv[0] and not self._program_file(call.argv[0]):
            return Reply(127, stderr=f"sh: 1: {call.argv[0]}: not found\n")
        for known in self.commands:
            if name in known.bodies:
                try:
                    return known.bodies[name](self, call)
                except FileError as error:
                    return Reply(1, stderr=f"{name}: {error.says}\n")
        return Reply(127, stderr=f"sh: 1: {call.argv[0]}: not found\n")

    def _program_file(self, path: str) -> bool:
        """Whether a program given by its path is there; those of the system always are."""
        if path.startswith(("/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/")):
            return True
        return self.files.exists(path)

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
        for unit in self.units.values():
            if unit.enabled:
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
        }
