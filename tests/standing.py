"""A lab that isn't there and stands by itself: what `target=ssh` finds behind the addresses."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from homelab_lib.errors import HomelabError
from homelab_lib.lab import Lab, load_lab
from homelab_lib.recipes import health, named
from homelab_lib.secret import Secret, resolve
from homelab_lib.session import run as session
from homelab_lib.session.rehearsed import before
from homelab_lib.target import ssh as ssh_target
from homelab_lib.target.served import vouch_for
from homelab_lib.twin.server import serve, ssh_config
from homelab_lib.twin.world import World
from homelab_lib.views.looks import findings

_ASKED = re.compile(r"allow_destroy=\[(.+?)\]")


@dataclass
class Ran:
    """What one run did."""

    digest: str = ""
    changes: int = 0
    sent: int = 0
    statuses: tuple[str, ...] = ()
    record: Path = Path()
    error: HomelabError | None = None


class Standing:
    """The world, and runs on it.

    Parameters
    ----------
    world
        What is there.
    config
        The ssh_config that leads to it.
    lab
        Where the lab's description is; empty for the shipped one.
    runbook
        What is run.
    secret, key
        Give the secrets that it was made with, and the key that its VMs were made for.
    """

    def __init__(
        self,
        world: World,
        config: Path,
        lab: str = "",
        runbook: str = "phase2",
        secret: Callable[[str], Secret] = resolve,
        key: str = "",
    ) -> None:
        self.world = world
        self.secret = secret
        self.key = key
        self.config = config
        self.lab = lab
        self.runbook = runbook

    def surround(self, patch: pytest.MonkeyPatch) -> None:
        """Have runs go by its clock, and leave their state and reports beside it."""
        folder = self.config.parent
        patch.setattr(ssh_target, "WallClock", lambda: self.world.clock)
        patch.setenv("HOMELAB_STATE", str(folder / "state"))
        patch.setenv("HOMELAB_REPORTS", str(folder / "reports"))

    def run(self, mode: str = "apply", approve: str = "", **more: object) -> Ran:
        """Run it as its notebook does, cell by cell; an error ends it and is given back."""
        ran = Ran()
        run = None
        try:
            run = session.begin(
                self.runbook,
                lab=self.lab,
                target="ssh",
                mode=mode,
                approve=approve,
                ssh_config=str(self.config),
                **more,
            )
            ran.record = run.record.folder
            run.plan()
            if mode != "verify":
                ran.digest, ran.changes = run._plan.digest, len(run._plan.changes)
            for name in run.runbook.names:
                run.step(name)
            run.finish()
        except HomelabError as error:
            ran.error = error
        finally:
            if run is not None:
                ran.sent = sum(len(outcome.sent) for outcome in run.outcomes)
                ran.statuses = tuple(outcome.status for outcome in run.outcomes)
                run.close()
        return ran

    def found(self) -> list[str]:
        """What a look at the whole house finds amiss."""
        run = session.begin(
            health.NAME, lab=self.lab, target="ssh", mode="verify", ssh_config=str(self.config)
        )
        try:
            for name in run.runbook.names:
                run.step(name)
            drifted = [outcome for outcome in run.outcomes if outcome.status == "drift"]
            return [f"{o.step}: {text}" for o in drifted for _, text in findings(o)]
        finally:
            run.close()

    def planned(self, **more: object) -> str:
        """The digest of a plan that can be approved."""
        ran = self.run("plan", **more)
        assert ran.error is None, ran.error
        return ran.digest

    def until_done(self, approve: str, tries: int = 6, **more: object) -> int:
        """Give the same command again and again until it gets to the end; how often it took.

        What our own attempt left half-made is named as free to be destroyed when it is asked for.
        """
        named: list[str] = []
        for count in range(1, tries + 1):
            ran = self.run("apply", approve, allow_destroy=named, **more)
            named += re.findall(r'"([^"]+)"', "".join(_ASKED.findall(str(ran.error))))
            self.world.clock.sleep(60)  # nobody types faster
            if ran.error is None:
                return count
        raise AssertionError(f"not done after {tries} tries: {ran.error}")


def login(folder: Path) -> tuple[Path, str]:
    """A login key that is the same in every test, so that what comes of runs can be compared."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    file = folder / "id_ed25519"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
    )
    file.chmod(0o600)
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    file.with_suffix(".pub").write_text(f"{public} operator\n")
    return file, public


_DRAWN = ("/etc/rancher/node/password",)  # a node draws it when k3s first starts there


def differences(a: object, b: object, path: str = "") -> list[str]:
    """Where two states differ, a line for each place; what is drawn by chance is none."""
    if path.endswith(_DRAWN):
        return []
    if isinstance(a, dict) and isinstance(b, dict):
        return [
            line
            for key in sorted({*a, *b}, key=str)
            for line in differences(a.get(key), b.get(key), f"{path}/{key}")
        ]
    return [] if a == b else [f"{path}: {a!r} != {b!r}"]


@contextmanager
def served(
    folder: Path,
    *,
    lab: Lab | None = None,
    path: str = "",
    seed: int = 0,
    runbook: str = "phase2",
) -> Iterator[Standing]:
    """Serve a lab as it stands before a runbook; before ``health``, when all has been made."""
    described = lab or load_lab(path or None)
    wanted = named(runbook) if runbook != health.NAME else None
    # What comes late stands on all that phase 1 makes, names among it.
    late = wanted is None or wanted.phase > 3
    twin = before(described, wanted, seed=seed, since=1 if late else wanted.phase)
    twin.close()
    world = twin.world
    folder.mkdir(parents=True, exist_ok=True)
    identity, key = login(folder)
    # Machines that were made before let in whoever made them.
    acting = {key: twin.public_key("")} if late else {}
    with serve(world, authorized_keys=[key], acting_for=acting) as doors:
        hosts = folder / "known_hosts"
        hosts.write_text("".join(f"{line}\n" for line in doors.known_hosts()))
        config = folder / "ssh_config"
        config.write_text(ssh_config(doors, identity_file=identity, known_hosts_file=hosts))
        vouch_for(world, folder / "certificates")
        yield Standing(world, config, path, runbook, twin.secret, twin.public_key(""))


@contextmanager
def standing(folder: Path, patch: pytest.MonkeyPatch, **lab: Any) -> Iterator[Standing]:
    """A lab that is served, and runs on it in simulated time on both sides; see `served`."""
    with served(folder, **lab) as there:
        there.surround(patch)
        yield there
