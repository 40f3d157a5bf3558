"""Who may use what a plain Linux machine keeps: accounts, owners of folders, shares by SMB."""

from collections.abc import Iterable, Iterator, Sequence

from homelab_lib.control.linux import Packages, SystemdService, look_at_file
from homelab_lib.control.linux.folders import Folder, OwnedFolder
from homelab_lib.control.linux.members import NO_LOGIN, UnixGroup, UnixUser
from homelab_lib.control.linux.samba import SambaShares, SambaUser, shown
from homelab_lib.lab import Lab
from homelab_lib.lab.accounts import Acl, NasGroup, NasUser, ShareAcl
from homelab_lib.lab.storage import Share, SmbShare
from homelab_lib.runbook.step import Check, Context, Step, Wanted

_WRITES = ("FULL", "CHANGE")
_EVERYONE = "everyone@"


def accounts(
    lab: Lab, host: str, groups: Sequence[NasGroup], users: Sequence[NasUser], name: str
) -> Step:
    """The step that makes groups and users.

    Parameters
    ----------
    lab, host, groups, users
        The lab, the machine, and whom it is to know.
    name
        What the step is called.
    """

    def ensure(ctx: Context) -> Iterator[Wanted]:
        for group in groups:
            yield UnixGroup(host, group.name, group.gid)
        for each in users:
            shell = each.shell or NO_LOGIN
            told = (each.full_name, each.uid, each.group or "", each.groups, shell)
            yield UnixUser(host, lab.name, each.name, *told)
        with_password = [each for each in users if each.smb and each.password is not None]
        if with_password:
            yield Packages(host, ("samba", "smbclient"))
        for each in with_password:
            assert each.password is not None
            yield SambaUser(host, each.name, ctx.secret(each.password))

    return Step(
        name,
        "Make groups and users",
        why="Files belong to groups rather than to persons: who joins a group gets all that it "
        "has. These users can't log in at the machine; Samba keeps a password for each, which it "
        "is told once and which is never read back. Who wants another one: `smbpasswd NAME`.",
        ensure=ensure,
    )


def permissions(
    lab: Lab, host: str, acls: Sequence[Acl], name: str, needs: tuple[str, ...]
) -> Step:
    """The step that says whom folders belong to.

    Parameters
    ----------
    lab, host, acls
        The lab, the machine, and what is said of its datasets and folders.
    name, needs
        What the step is called, and what it stands on.
    """

    def ensure(ctx: Context) -> Iterator[Wanted]:
        for acl in sorted(acls, key=lambda each: each.name.lstrip("/")):
            yield owned(lab, host, acl)

    return Step(
        name,
        f"Say whom {', '.join(acl.name for acl in acls)} belong{'s' * (len(acls) == 1)} to",
        why="A fresh dataset is root's, and nobody else can write there, whatever a share allows. "
        "A group gets it, with a mode that hands the group on to all that is made in it. What is "
        "in it already stays as it is.",
        needs=needs,
        ensure=ensure,
    )


def owned(lab: Lab, host: str, acl: Acl) -> OwnedFolder:
    """A folder as its owner, group and mode are described."""
    dataset = "" if acl.name.startswith("/") else acl.name
    path = acl.name if not dataset else f"/{dataset}"
    mode, user, group = acl.mode or "", acl.owner or "", acl.group or ""
    return OwnedFolder(host, path, mode, user, group, dataset, lab=lab.name)


def smb(lab: Lab, host: str, phase: int, name: str, needs: tuple[str, ...]) -> Step:
    """The step that shares by SMB: all that the machine shares by then, for one file has it.

    Parameters
    ----------
    lab, host, phase
        The lab, the machine, and the phase.
    name, needs
        What the step is called, and what it stands on.
    """
    shares = [
        each
        for each in lab.smb_shares.get(host, {}).values()
        if each.phase is not None and each.phase <= phase and not each.exists
    ]
    acls = lab.nas[host].share_acls if host in lab.nas else {}

    def ensure(ctx: Context) -> Iterator[Wanted]:
        yield Packages(host, ("samba", "smbclient"))
        for share in shares:
            yield Folder(host, share.path)
        sections = tuple((each.name, section(each, acls.get(each.name))) for each in shares)
        yield SambaShares(host, lab.name, sections)
        yield SystemdService(host, "smbd")

    def check(ctx: Context) -> Iterator[Check]:
        found, said = shown(ctx.host(host))
        for share in shares:
            title = f"{share.name} is shared by SMB"
            yield Check(title, share.name in found, "" if share.name in found else said)
            if _is_written(acls.get(share.name)):
                yield may_write(ctx, share)

    return Step(
        name,
        f"Share {', '.join(each.name for each in shares)} by SMB",
        why="What Windows, macOS and phones see. The shares stand in a file of ours, which Samba's "
        "own includes at its end: what somebody else shares there stays. What is made in a share "
        "gets the permissions of the folder it is made in. Capitals don't count to Samba, and they "
        "do to Linux: of two files that differ in them alone, Windows sees one.",
        needs=needs,
        ensure=ensure,
        check=check,
    )


def section(share: SmbShare, acl: ShareAcl | None) -> tuple[str, ...]:
    """A share as smb.conf(5) has it.

    Parameters
    ----------
    share, acl
        The share, and who may use it; None: whoever has a password.
    """
    lines = [f"path = {share.path}", "guest ok = no"]
    # Without the second, who writes a file makes it one that can be run.
    lines += ["inherit permissions = yes", "map archive = no"]
    if purpose := " ".join(share.purpose.replace("%", "").replace("\\", "/").split()):
        lines.insert(0, f"comment = {purpose}")
    entries = acl.entries if acl is not None else ()
    may = {each.who: each.may in _WRITES for each in entries if each.allow}
    if may and _EVERYONE not in may:
        lines.append(f"valid users = {_told(may)}")
    if refused := [each.who for each in entries if not each.allow]:
        lines.append(f"invalid users = {_told(refused)}")
    all_write = may.get(_EVERYONE, all(may.values()))
    lines.append(f"read only = {'no' if all_write else 'yes'}")
    # Each counts for whom it names alone, whatever holds for all.
    named = [who for who, writes in may.items() if who != _EVERYONE and writes != all_write]
    if named:
        lines.append(f"{'read' if all_write else 'write'} list = {_told(named)}")
    return tuple(lines)


def _told(principals: Iterable[str]) -> str:
    return ", ".join(_who(each) for each in principals)


def _who(principal: str) -> str:
    """``+family`` is a group of the machine's; a bare name is a user."""
    kind, _, name = principal.partition(":")
    return f"+{name}" if kind == "group" else name


def _is_written(acl: ShareAcl | None) -> bool:
    return acl is None or any(each.allow and each.may in _WRITES for each in acl.entries)


def may_write(ctx: Context, share: Share) -> Check:
    """Whether the files let anybody but root write where a share lies."""
    found = look_at_file(ctx.host(share.host), share.path) or {"mode": "0", "owner": "root:root"}
    user, _, group = str(found["owner"]).partition(":")
    bits = int(str(found["mode"]), 8)
    may = bits & 0o002 or (bits & 0o020 and group != "root") or (bits & 0o200 and user != "root")
    says = f"{share.path} is {found['mode']} {found['owner']}"
    if not may:
        says += f": root alone; say who may under nas.{share.host}.acls"
    return Check(f"somebody may write to {share.path}", bool(may), says)
