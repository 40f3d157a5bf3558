"""Tells whether two secret texts are the same without keeping either, or what leads to it.

A plain digest of a weak password is as good as the password: whoever has the record guesses until
the digest fits. With a key that never leaves the lab's state folder there is nothing to hold a
guess against.

Source: RFC 2104 (HMAC).
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from homelab_lib import durable
from homelab_lib.errors import HomelabError, Unreadable
from homelab_lib.regular_file import read_bytes

_KEY_BYTES = 32


class Seal:
    """Gives a text's keyed digest.

    Parameters
    ----------
    folder
        The lab's state folder. The key is made there, once, when the first text is sealed.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "seal.key"
        self._key = b""

    def __call__(self, text: str) -> str:
        """``sealed:`` and 64 hexadecimal digits, the same for the same text in this lab alone.

        Raises
        ------
        HomelabError
            The key can't be read or made.
        """
        if not self._key:
            self._key = self._load()
        digest = hmac.new(self._key, text.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return f"sealed:{digest.hexdigest()}"

    def _load(self) -> bytes:
        if not self._file.exists():
            self._make()
        key = read_bytes(self._file, max_bytes=_KEY_BYTES, follow_links=False, private=True)
        if len(key) != _KEY_BYTES:
            raise Unreadable(
                "this is no key of ours: it was cut short",
                where=str(self._file),
                fix=f"rm {self._file}; secrets then look changed once, and are written again",
            )
        return key

    def _make(self) -> None:
        """Put a whole key in its place; of two runs at once, the first one's stays."""
        new = self._file.with_name(f".seal.{secrets.token_hex(6)}")
        try:
            durable.private_folder(self._file.parent)
            try:
                durable.replace(new, secrets.token_bytes(_KEY_BYTES), mode=durable.PRIVATE)
                os.link(new, self._file)
            except FileExistsError:
                pass
            finally:
                new.unlink(missing_ok=True)
        except OSError as error:
            raise HomelabError(
                f"the lab's key can't be made: {error.strerror}",
                where=str(self._file),
                fix="make that folder writable, or name another one in HOMELAB_STATE",
            ) from None
