"""Login keys: the operator's own, and those that a twin makes for itself."""

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from homelab_lib import durable
from homelab_lib.errors import BadParameter, SecretUnresolved, Unreadable
from homelab_lib.lab import Lab
from homelab_lib.regular_file import read_bytes


def key_pair(folder: Path, seed: bytes | None = None) -> tuple[Path, str]:
    """A login key: the private half's file, and the public half as text.

    Parameters
    ----------
    folder
        Where it is put.
    seed
        32 bytes that it is made of; none: it is drawn.
    """
    key = Ed25519PrivateKey.from_private_bytes(seed or secrets.token_bytes(32))
    file = folder / "id_ed25519"
    durable.replace(
        file,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        ),
        mode=durable.PRIVATE,
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    text = f"{public.decode()} homelab"
    durable.replace(file.with_suffix(".pub"), f"{text}\n", mode=durable.PRIVATE)
    return file, text


def own_folder(folder: Path) -> None:
    """Make sure that nobody else can put a key, or a link, into the folder of a twin."""
    try:
        status = durable.private_folder(folder).stat()
    except OSError as error:
        raise BadParameter(f"can't be a folder: {error.strerror}", where=str(folder)) from None
    if status.st_uid != os.geteuid() or status.st_mode & 0o002:
        raise BadParameter(
            "others can write to this folder, and could put a key of theirs there",
            where=str(folder),
            fix="name one that is yours alone, or a new one",
        )


def operator_key(lab: Lab) -> str:
    """The public key of the lab's operator, as its description has it or says where it lies.

    Raises
    ------
    SecretUnresolved
        It is not there, or is the private half.
    """
    text = lab.operator.public_key
    if not text.startswith("file:"):
        return text.strip()
    file = Path(text.removeprefix("file:")).expanduser()
    try:
        key = read_bytes(file, max_bytes=16_384).decode(errors="replace").strip()
    except Unreadable as error:
        raise SecretUnresolved(
            f"your public key: {error.what}",
            where=str(file),
            fix="make one with `ssh-keygen -t ed25519`, or name another in the lab's operator",
        ) from None
    if "PRIVATE KEY" in key:  # it would be put on every VM, and into every record
        raise SecretUnresolved(
            "the lab's operator has a private key, and should have the public one",
            where=str(file),
            fix=f"write {text}.pub",
        )
    return key
