"""What the methods of access control lists take, of folders and of SMB shares.

Source: TrueNAS middleware 25.10 and 26, API models `filesystem`, `acl` and `sharing_smb`; 25.04 as
its old schema has them.
"""

from typing import Annotated, Literal

from pydantic import Field

from homelab_lib.twin.truenas.arguments.base import Arguments, Name, Text

_Id = Annotated[int, Field(ge=-1, le=2_147_483_647)] | None
_Who = Text | Name | None


class AdvancedPermissions(Arguments):
    """Each right by itself."""

    READ_DATA: bool = False
    WRITE_DATA: bool = False
    APPEND_DATA: bool = False
    READ_NAMED_ATTRS: bool = False
    WRITE_NAMED_ATTRS: bool = False
    EXECUTE: bool = False
    DELETE: bool = False
    DELETE_CHILD: bool = False
    READ_ATTRIBUTES: bool = False
    WRITE_ATTRIBUTES: bool = False
    READ_ACL: bool = False
    WRITE_ACL: bool = False
    WRITE_OWNER: bool = False
    SYNCHRONIZE: bool = False


class BasicPermissions(Arguments):
    """The usual sets of rights."""

    BASIC: Literal["FULL_CONTROL", "MODIFY", "READ", "TRAVERSE"]


class AdvancedFlags(Arguments):
    """Who inherits an entry, one by one."""

    FILE_INHERIT: bool = False
    DIRECTORY_INHERIT: bool = False
    NO_PROPAGATE_INHERIT: bool = False
    INHERIT_ONLY: bool = False
    INHERITED: bool = False


class BasicFlags(Arguments):
    """Whether it is inherited."""

    BASIC: Literal["INHERIT", "NOINHERIT"]


class Nfs4Entry(Arguments):
    """An entry of an NFSv4 list."""

    tag: Literal["owner@", "group@", "everyone@", "USER", "GROUP"]
    type: Literal["ALLOW", "DENY"]
    perms: AdvancedPermissions | BasicPermissions
    flags: AdvancedFlags | BasicFlags
    id: _Id = None
    who: _Who = None


class PosixPermissions(Arguments):
    """Read, write, execute."""

    READ: bool
    WRITE: bool
    EXECUTE: bool


class PosixEntry(Arguments):
    """An entry of a POSIX list."""

    tag: Literal["USER_OBJ", "GROUP_OBJ", "OTHER", "MASK", "USER", "GROUP"]
    perms: PosixPermissions
    default: bool
    id: _Id = None
    who: _Who = None


class ListFlags(Arguments):
    """What holds for an NFSv4 list as a whole."""

    autoinherit: bool = False
    protected: bool = False
    defaulted: bool = False


class SetAclOptions26(Arguments):
    """How far a list goes."""

    stripacl: bool = False
    recursive: bool = False
    traverse: bool = False
    validate_effective_acl: bool = True


class SetAclOptions(SetAclOptions26):
    """The same until 26, which sorts no entries any more."""

    canonicalize: bool = True


class SetAcl(Arguments):
    """A folder's owner, group and list."""

    path: Name
    dacl: list[Nfs4Entry] | list[PosixEntry]
    options: SetAclOptions = Field(default_factory=SetAclOptions)
    nfs41_flags: ListFlags = Field(default_factory=ListFlags)
    uid: _Id = -1
    user: Text | None = None
    gid: _Id = -1
    group: Text | None = None
    acltype: Literal["NFS4", "POSIX1E", None] = None


class SetAcl26(SetAcl):
    """The same in 26."""

    options: SetAclOptions26 = Field(  # type: ignore[assignment]
        default_factory=SetAclOptions26
    )


class WhoId(Arguments):
    """A user or a group by its number."""

    id_type: Literal["USER", "GROUP"]
    id: Annotated[int, Field(ge=0, le=2_147_483_647)]


class ShareEntry(Arguments):
    """Who may do what through an SMB share."""

    ae_perm: Literal["FULL", "CHANGE", "READ"]
    ae_type: Literal["ALLOWED", "DENIED"]
    ae_who_sid: Text | None = None
    ae_who_id: WhoId | None = None
    ae_who_str: Name | None = None


class ShareEntry26(ShareEntry):
    """The same in 26."""

    ae_perm: Literal["FULL", "CHANGE", "READ", "CUSTOM"]  # type: ignore[assignment]


EVERYONE = {"ae_perm": "FULL", "ae_type": "ALLOWED", "ae_who_sid": "S-1-1-0"}


class SetShareAcl(Arguments):
    """All of a share's entries."""

    share_name: Name
    share_acl: list[ShareEntry] = Field([ShareEntry(**EVERYONE)])  # type: ignore[arg-type]


class SetShareAcl26(SetShareAcl):
    """The same in 26."""

    share_acl: list[ShareEntry26] = Field(  # type: ignore[assignment]
        [ShareEntry26(**EVERYONE)]  # type: ignore[arg-type]
    )


class GetShareAcl(Arguments):
    """Which share's."""

    share_name: Name
