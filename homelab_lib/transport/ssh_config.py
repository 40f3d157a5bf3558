"""Reads an ssh_config itself, where there is no `ssh` to ask; by the same rules.

The first value of a keyword counts, but for identity files and certificates, which add up. What
it does not understand is refused by name, wherever it would change a login.

Source: ssh_config(5); readconf.c of OpenSSH 10.5.
"""

import glob
import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path

from homelab_lib.errors import BadParameter
from homelab_lib.transport import ssh_match
from homelab_lib.transport.ssh_lines import Line, lines
from homelab_lib.transport.ssh_match import matches
from homelab_lib.transport.ssh_said import (
    HEEDED,
    REFUSED,
    SYSTEM_CONFIG,
    UNRELATED,
    USER_CONFIG,
    Asked,
    Said,
    home,
)
from homelab_lib.transport.ssh_tokens import expand, tilde

DEEPEST = 16  # of files that include each other
_ADD_UP = {"certificatefile", "identityfile"}
_LISTS = {"globalknownhostsfile", "revokedhostkeys", "userknownhostsfile"}
_WHOLE_LINE = {"knownhostscommand", "localcommand", "proxycommand", "proxyjump", "remotecommand"}
_FREE = _LISTS | _WHOLE_LINE | (UNRELATED - {"tag", "ignoreunknown"})
_OBSOLETE = """
    afstokenpassing cipher compressionlevel fallbacktorsh globalknownhostsfile2
    kerberosauthentication kerberostgtpassing protocol rhostsauthentication
    rhostsrsaauthentication rsaauthentication useprivilegedport useroaming userknownhostsfile2
    usersh
"""  # ssh passes over these, too
_UNDONE = {  # what only an `ssh` can do, and the words that do not ask for it
    "bindinterface": (),
    "canonicalizehostname": ("no", "false"),
    "canonicalizepermittedcnames": ("none",),
    "checkhostip": ("no", "false"),
    "knownhostscommand": ("none",),
    "pkcs11provider": ("none",),
    "proxyusefdpass": ("no", "false"),
    "refuseconnection": ("none",),
}
_DEFAULT_IDENTITIES = ("~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519")


def ask(asked: Asked) -> Said:
    """What the configuration says of a host.

    Raises
    ------
    BadParameter
        It can't be read, or says what we don't understand; with the line.
    """
    reading = _Reading(asked)
    reading.read_all()
    if reading.state.wants_final:
        reading.second_pass()
    values = reading.state.values
    if set(values.get("user", [""])[0]) & set("%$"):
        raise BadParameter(
            f"{asked.host}: User {values['user'][0]}: what it means differs among versions of ssh",
            where=reading.state.places["user"],
            fix="write the name out, or install the OpenSSH client, which is then asked",
        )
    said: dict[str, tuple[str, ...]] = {"hostname": (_canonical(reading.state.host()),)}
    said |= {key: tuple(value) for key, value in values.items() if key != "hostname"}
    if "hostkeyalias" in values:
        said["hostkeyalias"] = (values["hostkeyalias"][0].lower(),)
    answer = Said(
        asked,
        said,
        by=f"our own reading of {reading.files}, since there is no ssh here",
        places=reading.state.places,
    )
    if "identityfile" not in said:
        usual = [tilde(answer, "identityfile", file) for file in _DEFAULT_IDENTITIES]
        said["identityfile"] = tuple(file for file in usual if Path(file).exists())
    return answer


def settle(asked: Asked, fallback: Mapping[str, str]) -> Said:
    """The same, with `fallback` for host name, user and port where the configuration leaves them
    open: there the lab's word counts."""
    said = ask(asked)
    names_itself = said.one("hostname") == asked.host.lower()
    left = {
        key: value
        for key, value in fallback.items()
        if value and (names_itself if key == "hostname" else key not in said.values)
    }
    return ask(asked.with_(left)) if left else said


def _canonical(host: str) -> str:
    """A name or an address as ssh writes it."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.lower()


class _Reading:
    """One reading of the configuration for one host."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.state = ssh_match.State(asked)
        self.ignored = ""
        for keyword, value in asked.given:
            self._take(Line("", keyword, (value,), value))

    @property
    def files(self) -> str:
        own = (Path(home(), USER_CONFIG), Path(SYSTEM_CONFIG))
        return " and ".join(map(str, [self.asked.config] if self.asked.config else own))

    def read_all(self) -> None:
        if self.asked.config:
            self._read(self.asked.config, user=True, needed=True)
            return
        self._read(Path(home(), USER_CONFIG), user=True, checked=True)
        self._read(Path(SYSTEM_CONFIG), user=False)

    def second_pass(self) -> None:
        """`Match final` was met: once more, with the host's name as it turned out."""
        self.state.values["hostname"] = [_canonical(self.state.host())]
        self.state.final = True
        self.read_all()

    def _read(
        self,
        file: Path,
        *,
        user: bool,
        needed: bool = False,
        checked: bool = False,
        never: bool = False,
        depth: int = 0,
    ) -> None:
        """Go through a file; `never` for one that is included where nothing applies."""
        try:
            with file.open(errors="surrogateescape") as opened:
                status = os.fstat(opened.fileno())
                text = opened.read()
        except FileNotFoundError as error:
            if needed:
                raise self._bad(str(file), f"it can't be read: {error.strerror}") from None
            return
        except OSError as error:
            raise self._bad(str(file), f"it can't be read: {error.strerror}") from None
        if checked and (status.st_uid not in (0, os.getuid()) or status.st_mode & 0o022):
            raise self._bad(str(file), "others can write to it", f"chmod go-w '{file}'")
        applies = not never
        for line in lines(text, str(file)):
            if line.words is None:
                raise self._bad(line.place, "a quote has no end")
            if not line.rest:
                raise self._bad(line.place, f"{line.keyword} says nothing")
            if line.keyword == "host":
                applies = not never and self._names(line.words)
            elif line.keyword == "match":
                applies = matches(self.state, line, never=never)
            elif line.keyword == "include":
                self._include(line, user=user, never=not applies, depth=depth)
            else:
                self._see_known(line, applies)
                if applies and line.keyword in HEEDED | UNRELATED | REFUSED.keys():
                    self._take(line)

    def _names(self, patterns: tuple[str, ...]) -> bool:
        """Whether a ``Host`` line means the host."""
        name = self.state.host() if self.state.final else self.asked.host
        meant = False
        for pattern in patterns:
            if ssh_match.like(name, pattern.removeprefix("!")):
                if pattern.startswith("!"):
                    return False
                meant = True
        return meant

    def _include(self, line: Line, *, user: bool, never: bool, depth: int) -> None:
        if depth >= DEEPEST:
            raise self._bad(line.place, f"more than {DEEPEST} files include each other")
        said = self.state.said()
        for word in line.words or ():
            path = expand(said, "include", word)
            if path.startswith("~") and not user:
                raise self._bad(line.place, f"{path}: a system's file may not include from a home")
            base = Path(home(), ".ssh") if user else Path(SYSTEM_CONFIG).parent
            for found in sorted(glob.glob(str(base / tilde(said, "include", path)))):
                self._read(Path(found), user=user, checked=True, never=never, depth=depth + 1)

    def _see_known(self, line: Line, applies: bool) -> None:
        """Refuse a line that we can't follow."""
        keyword, words = line.keyword, line.words or ()
        if keyword in _OBSOLETE.split():
            return
        if keyword not in HEEDED | UNRELATED | REFUSED.keys():
            if ssh_match.in_list(keyword, self.ignored.lower()):
                return
            raise self._bad(
                line.place,
                f"we don't know the word {keyword}",
                f"write `IgnoreUnknown {keyword}` above it, if it makes no odds to a login",
            )
        if keyword not in _FREE and len(words) != 1:
            raise self._bad(line.place, f"{keyword} takes one word: {line.rest}")
        said = keyword in self.state.values or line.rest.lower() in _UNDONE.get(keyword, ())
        if applies and keyword in _UNDONE and not said:
            raise self._bad(
                line.place,
                f"{keyword} {line.rest} can't be followed without an ssh to ask",
                REFUSED.get(keyword, "install the OpenSSH client"),
            )

    def _take(self, line: Line) -> None:
        """Keep what a line says, unless it is said already."""
        values, keyword, words = self.state.values, line.keyword, list(line.words or ())
        if keyword == "ignoreunknown":
            self.ignored = self.ignored or words[0]
            return
        if keyword == "connecttimeout" and words == ["none"]:
            return  # to ssh that is as if nothing were said
        if keyword == "proxyjump" and "proxycommand" in values:
            return
        if keyword == "proxycommand" and "proxyjump" in values:
            if values["proxyjump"][0].lower() == "none" and line.rest.lower() != "none":
                raise self._bad(
                    line.place,
                    "ProxyCommand after `ProxyJump none` is followed by some releases of ssh, and"
                    " passed over by others",
                    "install the OpenSSH client, or leave out one of the two",
                )
            return
        if keyword in _WHOLE_LINE:
            words = [line.rest.lstrip(" \t=")]
        if keyword in _ADD_UP and keyword in values:
            values[keyword] += [word for word in words if word not in values[keyword]]
        elif keyword not in values:
            values[keyword] = words
            self.state.places[keyword] = line.place

    def _bad(self, place: str, what: str, fix: str = "") -> BadParameter:
        return BadParameter(
            f"{self.asked.host}: its SSH configuration: {what}", where=place, fix=fix
        )
