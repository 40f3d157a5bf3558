"""Secrets are references until the last moment, and masked wherever output is kept."""

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from homelab_lib.errors import SecretUnresolved

MASK = "•••"
_TOKEN = re.compile(r"(?=\S*\d)(?=\S*[A-Za-z])[A-Za-z0-9+/=_.:-]{20,}")
"""What looks like a key or a token inside of a longer text, such as a kubeconfig."""
_SHORTEST_MASKED = 6  # masking "a" or "1" would blot out half of every log


@dataclass(frozen=True)
class Secret:
    """Something that must never be shown: a name to print, and a way to get the value.

    The value is fetched by `reveal` each time it is sent and kept nowhere. `str`, `repr`,
    f-strings and pickling show or carry the name alone.
    """

    name: str
    _fetch: Callable[[], str] = field(repr=False, compare=False)

    def reveal(self) -> str:
        return self._fetch()

    def __str__(self) -> str:
        return f"<secret {self.name}>"

    def __reduce__(self) -> tuple:
        raise TypeError(f"{self} does not leave this process")


def resolve(reference: str) -> Secret:
    """The secret behind ``env:NAME``, ``file:PATH`` or ``keyring:SERVICE/USER``.

    Raises
    ------
    SecretUnresolved
        When the reference is of none of these forms. A right form that leads nowhere raises
        on `reveal`, so that a plan can be made without the secret at hand.
    """
    scheme, _, rest = reference.partition(":")
    fetchers = {"env": _from_env, "file": _from_file, "keyring": _from_keyring}
    if scheme not in fetchers or not rest:
        raise SecretUnresolved(
            f"{reference!r} is not a reference to a secret",
            fix="write env:NAME, file:PATH or keyring:SERVICE/USER; never the value itself",
        )
    return Secret(reference, lambda: fetchers[scheme](rest))


def _from_env(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise SecretUnresolved(
            f"the environment has no {name}", fix=f"export {name} before starting the run"
        ) from None


def _from_file(path: str) -> str:
    file = Path(path).expanduser()
    try:
        if file.stat().st_mode & 0o077:
            raise SecretUnresolved(
                f"{file} can be read by others", fix=f"chmod 600 {file}", where=str(file)
            )
        return file.read_text().rstrip("\n")
    except OSError as error:
        raise SecretUnresolved(f"can't read {file}: {error.strerror}", where=str(file)) from None


def _from_keyring(entry: str) -> str:
    service, _, user = entry.partition("/")
    try:
        import keyring
    except ImportError:
        raise SecretUnresolved(
            "keyring: references need the keyring package", fix="pip install keyring"
        ) from None
    value = keyring.get_password(service, user)
    if value is None:
        raise SecretUnresolved(
            f"the keyring has nothing under {service}/{user}", fix=f"keyring set {service} {user}"
        )
    return value


class Mask:
    """Replaces every secret seen so far, and the keys inside of longer ones, in kept text."""

    def __init__(self) -> None:
        self._values: set[str] = set()

    def learn(self, values: Iterable[str]) -> None:
        for value in values:
            for piece in {value, value.strip(), *_TOKEN.findall(value)}:
                if len(piece) >= _SHORTEST_MASKED:
                    self._values.add(piece)

    def __call__(self, text: str) -> str:
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(value, MASK)
        return text
