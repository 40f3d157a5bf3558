"""Keys of the REST side: which user a key and its secret belong to.

Kept are hashes, each beside its key, under its user in the configuration. A firewall that a lab
describes is taken for one whose first key was made by hand, as the appliance has no other way: it
knows no key yet, and the first pair that is shown to it becomes root's. From then on that key
needs that secret. Nobody who shows none gets in.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

_MARK = "$sha256$"


@dataclass
class Doorman:
    """Who may ask.

    Parameters
    ----------
    takes_first
        Whether the first pair shown is taken for root's.
    """

    takes_first: bool = True
    made_by_hand: dict[str, str] = field(default_factory=dict)  # key: hash of its secret

    def user_of(self, header: str, config: ET.Element) -> str:
        """The user that an ``Authorization`` header belongs to; empty for nobody.

        Parameters
        ----------
        header
            As it came.
        config
            Where the users are.
        """
        key, secret = pair(header)
        if not key or not secret:
            return ""
        kept = self.made_by_hand.get(key)
        if kept is not None:
            return "root" if hmac.compare_digest(kept, hashed(secret)) else ""
        for user in config.findall("system/user"):
            for line in (user.findtext("apikeys") or "").split("\n"):
                name, _, stored = line.partition("|")
                if name == key and stored:
                    fits = hmac.compare_digest(stored, hashed(secret))
                    disabled = (user.findtext("disabled") or "0") not in ("", "0")
                    return (user.findtext("name") or "") if fits and not disabled else ""
        if self.takes_first and not self.made_by_hand:
            self.made_by_hand[key] = hashed(secret)
            return "root"
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
    users = [u for u in config.findall("system/user") if u.findtext("name") == name]
    for user in users:
        if "page-all" in (user.findtext("priv") or "").split(","):
            return True
        number = user.findtext("uid")
        for group in config.findall("system/group"):
            members = ",".join(member.text or "" for member in group.findall("member"))
            rights = ",".join(right.text or "" for right in group.findall("priv"))
            if number in members.split(",") and "page-all" in rights.split(","):
                return True
    return False
