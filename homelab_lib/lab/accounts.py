"""Who may use a NAS, and what they may do: groups, users, access control lists."""

from typing import Annotated, Literal

from pydantic import Field

from homelab_lib.lab.base import (
    AbsolutePath,
    FileMode,
    FolderMode,
    Form,
    Made,
    PublicKey,
    Record,
    SecretReference,
)

AccountName = Annotated[
    str,
    Form(
        r"[A-Za-z_][A-Za-z0-9_.-]{0,31}",
        "a user's or group's name: a letter or _, then letters, digits and any of _ . -, "
        "32 at most",
    ),
]
AccountId = Annotated[int, Field(strict=True, ge=0, le=2_147_483_647)]
Principal = Annotated[
    str,
    Form(
        r"owner@|group@|everyone@|(user|group):[A-Za-z_][A-Za-z0-9_.-]{0,31}",
        "owner@, group@, everyone@, user:NAME or group:NAME",
    ),
]


class NasGroup(Made):
    """A group of a NAS."""

    gid: AccountId | None = Field(None, description="Its number; none: the NAS picks one.")
    smb: bool = Field(True, description="Whether Windows shares know it.")
    sudo_commands: tuple[str, ...] = Field((), description="Commands as root, with a password.")
    sudo_commands_nopasswd: tuple[str, ...] = Field((), description="The same without password.")


class NasUser(Made):
    """A user of a NAS."""

    full_name: str = Field(description="The person's name, or what the account is for.")
    uid: AccountId | None = Field(None, description="Its number; none: the NAS picks one.")
    group: AccountName | None = Field(None, description="Primary group; none: one of its own.")
    groups: tuple[AccountName, ...] = Field((), description="Further groups.")
    smb: bool = Field(True, description="Whether Windows shares know it.")
    password: SecretReference | None = Field(
        None, description="Where its password is kept; none: it has none and can't log in with one."
    )
    email: str | None = Field(None, description="Where it is written to.")
    home: AbsolutePath | None = Field(None, description="Home folder; none: it has none.")
    home_mode: FileMode = Field("700", description="Mode of the home folder, in quotes.")
    shell: AbsolutePath | None = Field(None, description="Login shell; none: it can't log in.")
    public_key: PublicKey | None = Field(
        None, description="SSH public key: its text, or 'file:~/.ssh/….pub'."
    )
    ssh_password: bool = Field(False, description="Whether SSH takes its password.")
    locked: bool = Field(False, description="Whether it is locked.")
    sudo_commands: tuple[str, ...] = Field((), description="Commands as root, with a password.")
    sudo_commands_nopasswd: tuple[str, ...] = Field((), description="The same without password.")


class AclEntry(Record):
    """What one of a folder's users may do."""

    who: Principal = Field(description="owner@, group@, everyone@, user:NAME or group:NAME.")
    may: Literal["FULL_CONTROL", "MODIFY", "READ", "TRAVERSE"] = Field(
        description="What, as TrueNAS's basic permissions have it."
    )
    allow: bool = Field(True, description="False: refused.")
    inherit: bool = Field(True, description="Whether new files and folders in it get it, too.")


class Acl(Made):
    """Owner, group and access control list of a dataset's folder, or its mode. Its key is the
    dataset; on plain Linux the path of a folder, too."""

    owner: AccountName | None = Field(None, description="User it belongs to; none: as it is.")
    group: AccountName | None = Field(None, description="Its group; none: as it is.")
    mode: FolderMode | None = Field(
        None,
        description="Its permissions, in quotes, on plain Linux: '2770' has its group write, and "
        "hands that group on to what is made in it.",
    )
    preset: (
        Literal[
            "NFS4_OPEN",
            "NFS4_RESTRICTED",
            "NFS4_HOME",
            "NFS4_ADMIN",
            "POSIX_OPEN",
            "POSIX_RESTRICTED",
            "POSIX_HOME",
            "POSIX_ADMIN",
        ]
        | None
    ) = Field(None, description="TrueNAS's template that it begins with.")
    entries: tuple[AclEntry, ...] = Field((), description="Entries, added to those of the preset.")
    recursive: bool = Field(
        False, description="Whether what is in it already is changed, too: it can't be undone."
    )
    traverse: bool = Field(False, description="With recursive: child datasets, too.")


class ShareAclEntry(Record):
    """What somebody may do through an SMB share, whatever the files say."""

    who: Annotated[
        str,
        Form(
            r"everyone@|(user|group):[A-Za-z_][A-Za-z0-9_.-]{0,31}",
            "everyone@, user:NAME or group:NAME",
        ),
    ] = Field(description="everyone@, user:NAME or group:NAME.")
    may: Literal["FULL", "CHANGE", "READ"] = Field(description="What.")
    allow: bool = Field(True, description="False: refused.")


class ShareAcl(Made):
    """Who may use an SMB share. Its key is the share's name."""

    entries: tuple[ShareAclEntry, ...] = Field(
        min_length=1, description="Entries; whoever is in none of them stays outside."
    )
