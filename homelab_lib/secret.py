"""Secrets are references until the last moment, and masked wherever output is kept."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from homelab_lib.errors import SecretUnresolved, Unreadable
from homelab_lib.regular_file import read_bytes
from homelab_lib.secret_forms import forms
from homelab_lib.secret_search import BEGINNING, Texts

MASK = "•••"

SHORTEST = BEGINNING
"""Characters that a secret must have: blotting out "a" or "1234" would blot out half of a log."""

PUBLIC = frozenset(
    """
    already apply blocked changed completed conflict detached differs failed finished foretold
    interrupted intent journal linux measured measurement opnsense planned predicted proxmox
    reached rehearsed result running skipped step-done step-failed truenas unknown verify waiting
    """.split()  # noqa: SIM905 - one a line would be thirty lines
) | {"not reached"}
"""The engine's own words for a value; a record in which they are blotted out says nothing."""

_LARGEST_FILE_BYTES = 65_536
_LONGEST_PIECE = 1024
_FORM = {
    "env": re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
    "file": re.compile(r"[/~][^\x00-\x1f]*"),
    "keyring": re.compile(r"[^\x00-\x1f]+/[^\x00-\x1f/]+"),
}


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

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self} does not leave this process")


def is_reference(text: object) -> bool:
    """Whether this has the form of a reference to a secret."""
    scheme, _, rest = text.partition(":") if isinstance(text, str) else ("", "", "")
    return scheme in _FORM and _FORM[scheme].fullmatch(rest) is not None


def resolve(reference: str) -> Secret:
    """The secret behind ``env:NAME``, ``file:PATH`` or ``keyring:SERVICE/USER``.

    Parameters
    ----------
    reference
        The reference; a file's path begins with ``/`` or ``~``.

    Raises
    ------
    SecretUnresolved
        When the reference is of none of these forms; it is not quoted, for it may be the secret.
        A right form that leads nowhere, or to less than `SHORTEST` characters, raises on
        `reveal`, so that a plan can be made without the secret at hand.
    """
    if not is_reference(reference):
        raise SecretUnresolved(
            "what should be a reference to a secret is none",
            fix="write env:NAME, file:/PATH or keyring:SERVICE/USER; never the value itself",
        )
    scheme, _, rest = reference.partition(":")
    fetch = {"env": _from_env, "file": _from_file, "keyring": _from_keyring}[scheme]

    def long_enough() -> str:
        value = fetch(rest)
        if len(value.strip()) < SHORTEST:
            raise SecretUnresolved(
                f"{reference} has fewer than {SHORTEST} characters: too short to be masked",
                fix="take a longer one; it would be seen in every record of a run",
            )
        return value

    return Secret(reference, long_enough)


def _from_env(name: str) -> str:
    try:
        return os.environ[name].rstrip("\n")
    except KeyError:
        raise SecretUnresolved(
            f"the environment has no {name}", fix=f"export {name} before starting the run"
        ) from None


def _from_file(path: str) -> str:
    file = Path(path).expanduser()
    try:
        content = read_bytes(file, max_bytes=_LARGEST_FILE_BYTES, follow_links=False, private=True)
        return content.decode().rstrip("\n")
    except Unreadable as error:
        raise SecretUnresolved(error.what, where=str(file), fix=error.fix) from None
    except UnicodeDecodeError:
        raise SecretUnresolved("it is no text in UTF-8", where=str(file)) from None


def _from_keyring(entry: str) -> str:
    service, _, user = entry.rpartition("/")
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise SecretUnresolved(
            "keyring: references need the keyring package", fix="pip install keyring"
        ) from None
    try:
        value = keyring.get_password(service, user)
    except KeyringError as error:  # its words are about the keyring: none there, or locked
        raise SecretUnresolved(
            f"the keyring can't be asked: {type(error).__name__}",
            where=f"keyring:{entry}",
            fix=f"try `keyring get {service} {user}` by hand; unlock it, or set up a backend",
        ) from None
    if value is None:
        raise SecretUnresolved(
            f"the keyring has nothing under {service}/{user}", fix=f"keyring set {service} {user}"
        )
    return value


class Mask:
    """Blots every secret seen so far out of what is kept, in all of its `forms`.

    A secret of several lines is known by each of its lines, too, and a document that holds
    secrets, such as a kubeconfig, by what looks like one in it.

    Parameters
    ----------
    public
        Words that are no secret by themselves, such as the names of hosts and steps. Where one
        is the whole of a value it stays, even if it is somebody's password as well.
    """

    def __init__(self, public: Iterable[str] = ()) -> None:
        self.public: set[str] = {*PUBLIC, *public}
        self._known: set[str] = set()
        self._forms = Texts()

    def learn(self, values: Iterable[str]) -> None:
        """Take in what must not be shown from now on; what is shorter than `SHORTEST` is not."""
        for value in values:
            for piece in _pieces(value):
                if len(piece.strip()) < SHORTEST or piece in self._known:
                    continue
                for form in forms(piece):
                    self._forms.add(form)
                self._known.add(piece)

    def watching(self, secret: Secret) -> Secret:
        """The same secret, learnt whenever it is revealed, before anybody has it."""

        def reveal() -> str:
            value = secret.reveal()
            self.learn([value])
            return value

        return Secret(secret.name, reveal)

    def __call__(self, text: str) -> str:
        """The text with `MASK` in place of each secret, in one pass over it."""
        return _blotted(text, self._forms.spans(text))

    def clean(self, value: Any) -> Any:
        """A JSON document with its texts masked; do this before it is dumped, not after.

        Names of fields stay, for without them the document is none; a key that is a secret by
        itself does not.
        """
        if not self._known:
            return value
        if isinstance(value, str):
            return value if value in self.public else self(value)
        if isinstance(value, dict):
            return {self._key(key): self.clean(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.clean(item) for item in value]
        if isinstance(value, int) and not isinstance(value, bool) and str(value) in self._known:
            return MASK  # a PIN, which JSON carries as a number
        return value

    def _key(self, key: Any) -> Any:
        secret = key in self._known and key not in self.public
        return MASK if secret and not re.fullmatch("[a-z_]+", key) else key

    def cut(self, text: str, limit: int, *, end: bool = False) -> str:
        """The first `limit` characters, or the last ones, without a part of a secret at the cut.

        Parameters
        ----------
        text
            As it was printed.
        limit
            How many characters of it to keep.
        end
            Keep the end of it in place of the beginning.
        """
        if end:
            first = max(len(text) - limit, 0)
            begin = max(
                first - self._forms.longest, 0
            )  # a secret that reaches in begins after this
            return _blotted(text[begin:], self._forms.spans(text[begin:]), begin=first - begin)
        spans = self._forms.spans(text[: limit + self._forms.longest])
        return _blotted(text[:limit], (span for span in spans if span[0] < limit))


def _blotted(text: str, spans: Iterable[tuple[int, int]], *, begin: int = 0) -> str:
    parts, at = [], begin
    for low, high in spans:
        if high <= begin:
            continue
        parts += [text[at:low], MASK]
        at = high
    return "".join([*parts, text[at:]])


# What to know of a longer text -------------------------------------------------------------------

_RUN = re.compile(r"[A-Za-z0-9+/=_.:-]{20,}")
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?/?")  # before an @ it is a login
_FIELD = re.compile(r"""\s*(- +)*["']?[\w.-]+["']?\s*[:=](\s.*|["'\[{].*|)|\s*[\[\]{}(),-]*\s*""")
_NAMED = re.compile(
    r"(?i)(?:pass|token|secret|key|psk|credential)[\w.-]{0,30}[\"']?\s{0,3}[:=]\s{0,3}"
    r"[\"']?([^\s\"',}]{6,4096})"
)
_DOCUMENT_LINES = 4  # a text of fewer lines is all secret


def _pieces(value: str) -> Iterator[str]:
    """By what a secret text is known, if only a part of it turns up."""
    yield from _slices(value)
    yield from _slices(value.strip())
    for found in _RUN.finditer(value):
        run = found.group()
        mixed = any(c.isdigit() for c in run) and any(c.isalpha() for c in run)
        if mixed and (value[found.end() : found.end() + 1] == "@" or not _ADDRESS.fullmatch(run)):
            yield from _slices(run)
    for named in _NAMED.findall(value):
        yield from _slices(named)
    lines = [line.strip() for line in value.splitlines() if line.strip()]
    fields = [line for line in lines if _FIELD.fullmatch(line)]
    document = len(lines) >= _DOCUMENT_LINES and len(fields) * 2 >= len(lines)
    for line in lines if len(lines) > 1 else ():
        if not line.startswith("-----") and not (document and _FIELD.fullmatch(line)):
            yield from _slices(line)


def _slices(text: str) -> Iterator[str]:
    """A long text in parts: each is looked for by itself, so a torn one is found, too."""
    if len(text) <= _LONGEST_PIECE:
        yield text
        return
    for at in range(0, len(text), _LONGEST_PIECE):
        yield text[at : at + _LONGEST_PIECE]
    yield text[-_LONGEST_PIECE:]
