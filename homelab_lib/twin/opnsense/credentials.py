"""Keys of the REST side: which user a key and its secret belong to.

Kept are hashes, each beside its key, under its user in the configuration. A firewall that a lab
describes is taken for one whose first key was made by hand, as the appliance has no other way: it
knows no key yet, and the first pair that is shown to it becomes root's. From then on that key
needs that secret. For each machine that the lab has fetch the configuration, a person has made a
user who may see the configuration's history and nothing else, and write nothing: the next pairs are
theirs. Nobody who shows none gets in.

Source: opnsense/core, ``OPNsense/Core/ACL/ACL.xml``.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

_MARK = "$sha256$"
COPIES = "copies"
"""A user whom a person has made, for whoever fetches the configuration."""
_FETCHES = "/api/core/backup/download/"
_PATTERNS = {"page-diagnostics-configurationhistory": "/api/core/backup/"}
"""What the rights that a runbook has a use for let one ask, by how that begins."""
_READS_ONLY = "user-config-readonly"


@dataclass
class Doorman:
    """Who may ask.

    Parameters
    ----------
    takes_first
        Whether the first pair shown is taken for root's.
    copies
        For how many others a person has made a key that is good for the configuration's copies.
    """

    takes_first: bool = True
    copies: int = 0
    made_by_hand: dict[str, str] = field(default_factory=dict)  # key: hash of its secret
    _users: dict[str, str] = field(default_factory=dict)  # whose each of these keys is

    def user_of(self, header: str, config: ET.Element, path: str = "") -> str:
        """The user that an ``Authorization`` header belongs to; empty for nobody.

        Parameters
        ----------
        header
            As it came.
        config
            Where the users are.
        path
            What is asked for.
        """
        key, secret = pair(header)
        if not key or not secret:
            return ""
        kept = self.made_by_hand.get(key)
        if kept is not None:
            fits = hmac.compare_digest(kept, hashed(secret))
            return self._users.get(key, "root") if fits else ""
        for user in config.findall("system/user"):
            for line in (user.findtext("apikeys") or "").split("\n"):
                name, _, stored = line.partition("|")
                if name == key and stored:
                    fits = hmac.compare_digest(stored, hashed(secret))
                    disabled = (user.findtext("disabled") or "0") not in ("", "0")
                    return (user.findtext("name") or "") if fits and not disabled else ""
        if not self.takes_first:
            return ""
        fetches = path.startswith(_FETCHES) and 0 < len(self._users) <= self.copies
        if not self.made_by_hand or fetches:
            self._users[key] = COPIES if self.made_by_hand else "root"
            self.made_by_hand[key] = hashed(secret)
            return self._users[key]
        return ""


def pair(header: str) -> tuple[str, str]:
    """Key and secret of a header of HTTP basic authentication; empty texts for none."""
    _, _, coded = header.partition(" ")
    try:
        key, colon, secret = base64.b64decode(coded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return "", ""
    return (key, secret) if colon else ("", "")


def hashed(secret: str) -> str:
    """What is kept of a secret."""
    return _MARK + hashlib.sha256(secret.encode()).hexdigest()


def may_everything(config: ET.Element, name: str) -> bool:
    """Whether a user has all rights, by his own or by a group's ``page-all``."""
    return "page-all" in _rights(config, name)


def may(config: ET.Element, name: str, path: str) -> bool:
    """Whether a user may ask something, by his own rights or by a group's."""
    held = _rights(config, name)
    return may_everything(config, name) or any(
        path.lower().startswith(begins) for right, begins in _PATTERNS.items() if right in held
    )


def reads_only(config: ET.Element, name: str) -> bool:
    """Whether a user may write nothing, whatever else he may."""
    return _READS_ONLY in _rights(config, name)


def _rights(config: ET.Element, name: str) -> set[str]:
    if name == COPIES:
        return {*_PATTERNS, _READS_ONLY}
    found: set[str] = set()
    for user in config.findall("system/user"):
        if user.findtext("name") != name:
            continue
        found.update((user.findtext("priv") or "").split(","))
        number = user.findtext("uid")
        for group in config.findall("system/group"):
            members = ",".join(member.text or "" for member in group.findall("member"))
            if number in members.split(","):
                found.update(",".join(each.text or "" for each in group.findall("priv")).split(","))
    return found
