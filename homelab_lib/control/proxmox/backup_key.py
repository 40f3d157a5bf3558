"""The key by which a node encrypts its backups, as somebody has it on paper.

Source: proxmox-backup 3.2.4, pbs-datastore/src/paperkey.rs for what stands on the paper,
pbs-key-config/src/lib.rs for what a key's file says, pbs-tools/src/crypt_config.rs for its
fingerprint.
"""

import hashlib
import json
from base64 import b64decode
from typing import Any

from homelab_lib.errors import SecretUnresolved

_KEY_BYTES = 32
_INPUT = hashlib.sha256(b"Proxmox Backup Encryption Key Fingerprint").digest()
_FIRST, _LAST = "-----BEGIN PROXMOX BACKUP KEY-----", "-----END PROXMOX BACKUP KEY-----"
_COMPARE = "compare each character with the paper: all from the first { to the last }"


def fingerprint(key: bytes) -> str:
    """By what a key is known, as a backup's manifest and a storage's configuration have it.

    Parameters
    ----------
    key
        The key itself, 32 bytes.
    """
    derived = hashlib.pbkdf2_hmac("sha256", key, b"_id_key", 10)
    return hashlib.sha256(_INPUT + derived).digest().hex(":")


def from_paper(text: str, reference: str) -> str:
    """A key's file, of one line, from what somebody has typed or scanned.

    Parameters
    ----------
    text
        What `proxmox-backup-client key paperkey` has printed, or the JSON of it.
    reference
        Where it is from. Of the text itself nothing is told.

    Raises
    ------
    SecretUnresolved
        It is no such key, a character of it is another one, or it takes a passphrase.
    """
    inner = text.partition(_FIRST)[2].partition(_LAST)[0] if _FIRST in text else text
    try:
        key = json.loads(inner)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _wrong(f"can't be read from {where} on", reference) from None
    except RecursionError:
        raise _wrong("is no key", reference) from None
    if not isinstance(key, dict) or not isinstance(key.get("data"), str):
        raise _wrong("has no data: it is another file", reference)
    if key.get("kdf") is not None:
        raise SecretUnresolved(
            f"the key from {reference} takes a passphrase, for which a node can't ask",
            where=reference,
            fix="on the node: proxmox-backup-client key change-passphrase --kdf none, with its "
            "file; print that one",
        )
    _assert_whole(key, reference)
    return json.dumps(key, separators=(",", ":"))


def _assert_whole(key: dict[str, Any], reference: str) -> None:
    try:
        data = b64decode(key["data"], validate=True)
    except ValueError:
        data = b""
    if len(data) != _KEY_BYTES:
        raise _wrong(f"has data that are not {_KEY_BYTES} bytes in base64", reference)
    said = key.get("fingerprint")
    if said is not None and str(said).replace(":", "") != fingerprint(data).replace(":", ""):
        what = "has a fingerprint that is not that of its data: a character of one is another"
        raise _wrong(what, reference)


def _wrong(what: str, reference: str) -> SecretUnresolved:
    return SecretUnresolved(f"the key from {reference} {what}", where=reference, fix=_COMPARE)
