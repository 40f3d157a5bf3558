"""Where a runbook runs: an embedded twin, or the real hosts. The one module that knows both sides.

The engine gets the same things from either: a link that carries commands, a clock, and a way to
pin a host key. What differs is what stands behind the addresses.
"""

import hmac
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import homelab_lib.control  # noqa: F401  (which of the twin's questions only read)
from homelab_lib.errors import HomelabError, HostKeyRefused, SecretUnresolved
from homelab_lib.lab import Lab
from homelab_lib.lab.releases import is_known, series_of
from homelab_lib.runbook.patience import Patience
from homelab_lib.runbook.plan import PlannedHost
from homelab_lib.secret import Secret, resolve
from homelab_lib.target.likeness import Likeness
from homelab_lib.target.login_keys import key_pair
from homelab_lib.target.served import vouch_for
from homelab_lib.target.ssh import SshTarget, left_alone
from homelab_lib.transport.endpoint import Endpoint
from homelab_lib.transport.fleet import Fleet
from homelab_lib.transport.hostkeys import pin
from homelab_lib.twin.built import built
from homelab_lib.twin.clock import SimulatedClock
from homelab_lib.twin.decays import Decay, drawn
from homelab_lib.twin.fidelity import rests_on
from homelab_lib.twin.proxmox.backup_servers import key_printed
from homelab_lib.twin.seeding import seeded
from homelab_lib.twin.server import serve
from homelab_lib.twin.world import World

Decayed = tuple[Decay, str]
"""What decayed, and on which machine."""

_READING_S = 120.0
_PATIENCE_S = 60.0  # a twin is there; if it does not answer, this computer is busy
_ADDRESSES = ("WEBHOOK", "URL")  # secrets of such names are no passwords
_MADE_UP_CHARACTERS = 16  # of a secret that only a twin is told; CHAP takes no more


class _TwinFleet(Fleet):
    """A twin's machines. One that the real host behind it could not be asked for answers nobody:
    with the real reason, and not with a port of this computer."""

    unreached: Mapping[str, HomelabError]

    def _endpoint(self, host: str) -> Endpoint:
        if host in self.unreached:
            error = self.unreached[host]
            raise type(error)(error.what, where=error.where, fix=error.fix)
        return super()._endpoint(host)


class TwinTarget:
    """An embedded lab on loopback ports, gone when it is closed.

    Parameters
    ----------
    lab
        The lab to stand up.
    world
        What stands behind the ports.
    operator_key
        The public key that VMs are given. The twin lets its own key in wherever this one may
        log in, so that a rehearsal needs nobody's private key. None: the twin's own.
    allow_changes
        False refuses every change before it is sent.
    likeness
        What is known of the real hosts that it is a twin of; None for a lab of its own.
    seed
        What its login key and its seal are made of; None: drawn.
    """

    name = "twin"
    evidence = "rehearsed"

    def __init__(
        self,
        lab: Lab,
        world: World,
        *,
        operator_key: str | None = None,
        allow_changes: bool,
        likeness: Likeness | None = None,
        seed: bytes | None = None,
    ) -> None:
        self._likeness = likeness
        self.lab = lab
        self.world = world
        self.clock = world.clock
        self._seal = seed or secrets.token_bytes(32)
        with _room_for_it():
            self._folder = Path(tempfile.mkdtemp(prefix="homelab-twin-"))
            identity, own_key = key_pair(self._folder, self._seal)
        self._operator_key = operator_key or own_key
        self._served = serve(
            world, authorized_keys=[own_key], acting_for={own_key: self._operator_key}
        )
        self._known_hosts = self._folder / "known_hosts"
        with _room_for_it():
            lines = "".join(f"{line}\n" for line in self._served.known_hosts())
            self._known_hosts.write_text(lines)
        self._certificates = self._folder / "certificates"
        vouch_for(world, self._certificates)
        self._endpoints = {
            name: Endpoint(
                name=name,
                address=endpoint.host,
                port=endpoint.port,
                user=endpoint.user,
                identity_files=(str(identity),),
                use_agent=False,
                connect_timeout_s=_PATIENCE_S,
            )
            for name, endpoint in self._served.endpoints.items()
        }
        self.link = _TwinFleet(
            self._endpoints,
            allow_changes=allow_changes,
            known_hosts=[self._known_hosts],
            certificates=[self._certificates],
            left_alone=left_alone(lab),
            sleep=self.clock.sleep,
        )
        self.link.unreached = likeness.unreached if likeness is not None else {}

    @classmethod
    def before_phase(cls, lab: Lab, phase: int, seed: int = 0) -> "TwinTarget":
        """The lab as it stands when the phases before `phase` are done; it may be changed."""
        world = built(lab, before_phase=phase, seed=seed, clock=SimulatedClock())
        return cls(lab, world, allow_changes=True)

    def reopened(self, *, allow_changes: bool) -> "TwinTarget":
        """The same lab behind new doors, to which the same key fits; these are closed."""
        self.close()
        return TwinTarget(self.lab, self.world, allow_changes=allow_changes, seed=self._seal)

    def rest(self) -> None:
        """Between two runbooks a person reads a plan: what was starting is up by then, and they
        have logged in once to what they installed themselves."""
        self.clock.sleep(_READING_S)
        known = set(self._known_hosts.read_text().splitlines())
        with self._known_hosts.open("a") as file:
            file.writelines(f"{line}\n" for line in self._served.known_hosts() if line not in known)

    def decay(self, seed: int) -> list[Decayed]:
        """Have things decay that a seed picks; what, and on which machine."""
        with self.clock.lock:
            found = drawn(self.world, seed)
            for each, name in found:
                each.play(self.world.machines[name])
        return found

    def hosts(self) -> tuple[PlannedHost, ...]:
        """Nobody: what is planned on a twin of its own is carried out on that one."""
        return ()

    def trust(self, name: str, key: str, made: bool) -> None:
        """Take a host key; not of a real machine that nobody vouches for, as the real run won't.

        Raises
        ------
        HostKeyRefused
            It is one that we did not make, and whose key is not known.
        """
        if self._likeness is not None and not made and name in self._likeness.strangers:
            raise HostKeyRefused(
                f"{name} is there already, we did not make it under this approval, and nobody "
                "vouches for its host key",
                where=name,
                fix=f"log in once by `ssh {name}` and compare the fingerprint with the one in its "
                "console; then run this again",
            )
        pin(self._known_hosts, self._endpoints[name], key)

    def locate(self, name: str, address: str) -> None:
        """Whatever its address is, a machine of the twin is reached at its own port."""

    def seal(self, text: str) -> str:
        return hmac.digest(self._seal, text.encode(), "sha256").hex()

    def public_key(self, name: str) -> str:
        return self._operator_key

    def secret(self, reference: str) -> Secret:
        """The secret behind a reference. A twin of a lab's own takes any: one that nobody has set
        is made up, so that a rehearsal needs nobody's."""
        found = resolve(reference)
        if self._likeness is not None:
            return found

        def reveal() -> str:
            try:
                return found.reveal()
            except SecretUnresolved:
                if (printed := key_printed(self.world, reference)) is not None:
                    return printed
                made_up = self.seal(reference)[:_MADE_UP_CHARACTERS]
                is_address = reference.upper().endswith(_ADDRESSES)
                return f"https://hooks.invalid/{made_up}" if is_address else made_up

        return Secret(found.name, reveal)

    def unknown_releases(self) -> dict[str, str]:
        """What its machines run, or are to run, and this project does not know; and where that is
        found."""
        seen = [
            (series, name)
            for name, machine in self.world.machines.items()
            for shelf in self.world.shelves
            if (series := shelf.series_on(machine))
        ]
        for cluster in self.lab.clusters.values():
            seen.append((series_of(cluster.kind, cluster.version), f"clusters.{cluster.name}"))
        return {str(series): where for series, where in seen if not is_known(series)}

    def rests_on(self, name: str, line: str) -> str:
        """What its answer to a call rests on; see `homelab_lib.twin.fidelity`."""
        return rests_on(self.world.shelves, self.world.machines[name], line)

    def close(self) -> None:
        self.link.close()
        self._served.close()
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def _room_for_it() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HomelabError(
            f"there is no room for a twin's keys: {error.strerror}",
            where=error.filename or tempfile.gettempdir(),
            fix="make room on that disk, or name another folder in TMPDIR",
        ) from None


Target = TwinTarget | SshTarget


def rehearsal(
    target: Target,
    *,
    public_key: str,
    note: Callable[[str, str], None] = lambda host, text: None,
) -> TwinTarget:
    """A twin of the target's hosts as they are now, to try a runbook on."""
    unknown = {host.name for host in target.hosts() if not host.key} & target.lab.vms.keys()
    strangers = {name for name in unknown if not target.lab.installed_by_hand(name)}
    patience = Patience(target.clock, threading.Event(), note)
    likeness = Likeness(target.link, patience, target.lab.vms, strangers)
    world = seeded(target.lab, likeness.ask, fresh=strangers, clock=SimulatedClock())
    return TwinTarget(
        target.lab, world, operator_key=public_key, allow_changes=True, likeness=likeness
    )
