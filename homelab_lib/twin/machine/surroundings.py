"""What a machine knows of the world it stands in, without knowing the world."""

import random
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from homelab_lib.lab import Lab
from homelab_lib.twin.clock import Clock
from homelab_lib.twin.machine.entry import Entry
from homelab_lib.twin.machine.files import FileSystem

Ask = Callable[[str, Sequence[str]], tuple[int, str, str] | None]
"""Runs a reading command on a real host: status, output, errors; None where it can't be asked."""

Answer = tuple[int, bytes, float]
"""A web server's: status, body, and how long it takes [s]."""
Answering = Callable[[str, Mapping[str, str]], Answer]
"""What answers a path; these stand beside the headers, by names that no header can have:"""
METHOD, BODY, FROM = ":method", ":body", ":from"
"""The method, the body, and the address that the request comes from."""


class NetError(Exception):
    """A connection that did not come about.

    Parameters
    ----------
    code
        `curl`'s exit status for it.
    text
        `curl`'s words.
    takes_s
        How long one waits for it [s].
    """

    def __init__(self, code: int, text: str, takes_s: float = 0.0) -> None:
        super().__init__(text)
        self.code = code
        self.takes_s = takes_s


@dataclass(frozen=True)
class Export:
    """What an NFS client gets.

    Parameters
    ----------
    files
        The dataset's files.
    writes_as_root
        Whether a client's root may write there.
    root
        The folder of these that is exported.
    """

    files: FileSystem
    writes_as_root: bool
    root: str = "/"


class Surroundings(Protocol):
    """The world as a machine sees it; `World` says what each of these is."""

    lab: Lab
    operator: str
    fresh: Container[str]
    habits: dict[str, Any]
    repositories: Any
    nfs_hindrances: list[Any]
    lenders: list[Any]
    resolvers: list[Any]
    inside: list[Any]
    clock: Clock
    seed: int
    rng: random.Random
    machines: dict[str, Any]
    network: Any
    clusters: dict[str, Any]
    programs: list[Any]
    scripts: dict[str, Any]
    units: dict[str, Callable[[], Any]]
    services: dict[str, Callable[[Any], Any]]
    known_modules: set[str]
    internet_bytes_per_s: float

    def after(self, delay_s: float, action: Callable[[], object], *, label: str = "") -> None: ...
    def went_down(self, machine: Any) -> None: ...
    def came_up(self, machine: Any) -> None: ...
    def reach(self, source: Any, address: str, port: int) -> str: ...
    def regroup(self, host: str, segments: Mapping[str, str]) -> None: ...
    def link_bps(self, host: str, port: str) -> int: ...
    def hears(self, interface: Any, address: str) -> bool: ...
    def hears_its_gateway(self, interface: Any) -> bool: ...
    def packets(self, source: Any, address: str) -> tuple[int, int]: ...
    def carries_bps(self, source: Any, address: str) -> int: ...
    def find_ip(self, address: str) -> Any: ...
    def internet(self, source: Any) -> str: ...
    def resolve(self, source: Any, name: str) -> str: ...
    def fetch(
        self, source: Any, url: str, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Entry]: ...
    def nfs(self, client: Any, server: str, path: str) -> tuple[Export | None, str]: ...
