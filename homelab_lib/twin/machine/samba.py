"""Samba: its settings as `testparm` reads them, its users, and the shares that it shows.

Source: smb.conf(5), testparm(1), pdbedit(8), smbpasswd(8), smbclient(1), and what Samba 4.17
answered when it was run beside it (tests/real).
"""

import re
from collections.abc import Iterator

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.machine.smb_conf import Settings, UnreadableSettings
from homelab_lib.twin.machine.unit import Unit
from homelab_lib.twin.machine.usage import Usage

samba_programs = Commands()

PACKAGE, UNIT = "samba", "smbd"
MAIN = "/etc/samba/smb.conf"
_PORT = 445
_PDBEDIT = Usage("L,list v,verbose u,user:", status=1)
_TESTPARM = Usage("s,suppress-prompt", status=1)
_SMBCLIENT = Usage("N,no-pass g,grepable L,list:", status=1)
_SMBPASSWD = Usage("s a x e d", least=1, most=1, status=1)
_PER_USER = re.compile(r"^Unix username:\s+(\S+).*?^Account Flags:\s+\[([A-Z ]+)\]", re.M | re.S)
_LOADING = f"Load smb config files from {MAIN}\n"
_LOADED = """\
Loaded services file OK.
Weak crypto is allowed by GnuTLS (e.g. NTLM as a compatibility fallback)

Server role: ROLE_STANDALONE

"""
DEBIANS = r"""[global]
   workgroup = WORKGROUP
;   interfaces = 127.0.0.0/8 eth0
   log file = /var/log/samba/log.%m
   max log size = 1000
   logging = file
   panic action = /usr/share/samba/panic-action %d
   server role = standalone server
   obey pam restrictions = yes
   unix password sync = yes
   passwd program = /usr/bin/passwd %u
   passwd chat = *Enter\snew\s*\spassword:* %n\n *Retype\snew\s*\spassword:* %n\n """ + (
    r"""*password\supdated\ssuccessfully* .
   pam password change = yes
   map to guest = bad user
#   usershare max shares = 100
   usershare allow guests = yes

[homes]
   comment = Home Directories
   browseable = no
   read only = yes
   create mask = 0700
   directory mask = 0700
   valid users = %S

[printers]
   comment = All Printers
   browseable = no
   path = /var/tmp
   printable = yes
   guest ok = no
   read only = yes
   create mask = 0700

[print$]
   comment = Printer Drivers
   path = /var/lib/samba/printers
   browseable = yes
   read only = yes
   guest ok = no
"""
)
"""What Debian's file says; most of that is comments."""


def units(machine: Machine) -> Iterator[Unit]:
    """The server, as its package brings it: it runs, and starts with the machine."""
    machine.listeners[_PORT] = lambda: _runs(machine)
    yield Unit(UNIT, "active", "running", enabled=True, on_start=_starts)
    yield Unit("nmbd", "active", "running", enabled=True)


def _runs(machine: Machine) -> bool:
    return UNIT in machine.units and machine.units[UNIT].active == "active"


def _starts(machine: Machine) -> str:
    try:
        settings(machine)
    except UnreadableSettings:
        return f"Can't load {MAIN} - run testparm to debug it"
    return ""


def settings(machine: Machine) -> Settings:
    """What is written, and so what holds for whoever connects now.

    Raises
    ------
    UnreadableSettings
        It can't be read.
    """
    return Settings.of(MAIN, lambda path: _text(machine, path))


def _text(machine: Machine, path: str) -> str | None:
    return machine.files.text(path) if machine.files.exists(path) else None


def users(machine: Machine) -> dict[str, str]:
    """Who has a password, and the flags of each; of a seeded machine, as the real one says."""
    if "samba" not in machine.kept:
        said = machine.said("pdbedit", "-L", "-v")
        text = said.out.decode() if said is not None and not said.status else ""
        rows = [(name, flags.replace(" ", "")) for name, flags in _PER_USER.findall(text)]
        machine.kept["samba"] = dict(rows)
    found: dict[str, str] = machine.kept["samba"]
    return found


@samba_programs("testparm")
def testparm(machine: Machine, call: Call) -> Reply:
    """The settings as Samba reads them."""
    _TESTPARM.of(call)
    try:
        found = settings(machine)
    except UnreadableSettings as error:
        return Reply(1, stderr=f"{_LOADING}{error}Error loading services.\n")
    return Reply(0, found.shown(), f"{_LOADING}{found.complaints}{_LOADED}")


@samba_programs("pdbedit")
def pdbedit(machine: Machine, call: Call) -> Reply:
    """List who has a password."""
    given = _PDBEDIT.of(call)
    if call.user != "root":
        place = "/var/lib/samba/private/passdb.tdb"
        return Reply(1, stderr=f"tdbsam_open: Failed to open/create TDB passwd [{place}]\n")
    known = users(machine)
    wanted = given.get("u")
    if wanted is not None and wanted not in known:
        return Reply(255, stderr="Username not found!\n")
    out = ""
    for name in [wanted] if wanted is not None else known:
        user = machine.accounts.users[name]
        if "v" in given:
            flags = f"[{known[name]:<11}]"
            out += f"Unix username:        {name}\nNT username:          \n"
            out += f"Account Flags:        {flags}\nFull Name:            {user.gecos}\n"
        else:
            out += f"{name}:{user.uid}:{user.gecos}\n"
    return Reply(0, out)


@samba_programs("smbpasswd")
def smbpasswd(machine: Machine, call: Call) -> Reply:
    """Tell a user's password, shut it out, let it in, or forget it."""
    given = _SMBPASSWD.of(call)
    name, known = given.words[0], users(machine)
    if call.user != "root":
        return Reply(1, "When run by root:\n    smbpasswd [options] [username]\n")
    if "x" in given or "e" in given or "d" in given:
        if name not in known:
            return Reply(1, stderr=f"Failed to find entry for user {name}.\n")
        if "x" in given:
            del known[name]
            return Reply(0, f"Deleted user {name}.\n")
        known[name] = "U" if "e" in given else "DU"
        return Reply(0, f"{'Enabled' if 'e' in given else 'Disabled'} user {name}.\n")
    told = call.stdin.decode().split("\n")[:2]
    if len(told) < 2 or told[0] != told[1] or not told[0]:
        what = "Mismatch - password unchanged.\n" if len(set(told)) > 1 else ""
        return Reply(1, stderr=f"{what}Unable to get new password.\n")
    if name not in machine.accounts.users or ("a" not in given and name not in known):
        what = "add entry" if "a" in given else "find entry"
        return Reply(1, stderr=f"Failed to {what} for user {name}.\n")
    fresh = name not in known
    known.setdefault(name, "U")
    return Reply(0, f"Added user {name}.\n" if fresh else "")


@samba_programs("smbclient")
def smbclient(machine: Machine, call: Call) -> Reply:
    """What a server of this machine shows to whoever asks without a name."""
    given = _SMBCLIENT.of(call)
    if given.get("L") not in ("127.0.0.1", "localhost") or not {"N", "g"} <= given.options.keys():
        what = "the twin asks this machine alone, and without a password: -N -g -L 127.0.0.1"
        return Reply(127, stderr=f"smbclient: {what}\n")
    if not _runs(machine):
        why = "(Error NT_STATUS_CONNECTION_REFUSED)"
        return Reply(1, stderr=f"do_connect: Connection to 127.0.0.1 failed {why}\n")
    found = settings(machine)
    out = "".join(f"Disk|{name}|{comment}\n" for name, comment in found.seen())
    version = machine.packages[PACKAGE].partition(":")[2].partition("+")[0]
    out += f"IPC|IPC$|IPC Service (Samba {version}-Debian)\n"
    if (homes := found.homes_comment()) is not None:
        out += f"Disk|nobody|{homes}\n"  # the guest's own
    return Reply(0, out, "SMB1 disabled -- no workgroup available\n")
