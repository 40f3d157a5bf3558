"""Programs about file systems: what is mounted where, and NFS."""

import json
import posixpath

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands
from homelab_lib.twin.machine.tree import Mount

mounts = Commands()


@mounts("findmnt")
def findmnt(machine: Machine, call: Call) -> Reply:
    """What is mounted where."""
    rows = [
        {"target": m.target, "source": m.source, "fstype": m.fstype, "options": m.options}
        for m in machine.files.mounts.values()
    ]
    words, options = operands(call, "-t -o -T")
    if {"-s", "--fstab"} & options.keys():
        rows = [
            row for line in machine.files.text("/etc/fstab").splitlines() if (row := _row(line))
        ]
    if "-t" in options:
        rows = [row for row in rows if row["fstype"] in options["-t"].split(",")]
    if words:
        rows = [row for row in rows if words[0] in (row["target"], row["source"])]
    if "-J" not in options and "--json" not in options:
        text = "".join(" ".join(row.values()) + "\n" for row in rows)
        return Reply(0 if rows else 1, text)
    return Reply(0 if rows else 1, json.dumps({"filesystems": rows}) + "\n" if rows else "")


def _row(line: str) -> dict[str, str]:
    """A line of /etc/fstab; nothing for a comment."""
    words = line.partition("#")[0].split()
    names = ("source", "target", "fstype", "options")
    return dict(zip(names, words, strict=False)) if len(words) > 3 else {}


@mounts("df")
def df(machine: Machine, call: Call) -> Reply:
    """Space."""
    full = machine.files.full
    used = "100%" if full else "10%"
    return Reply(0, f"Filesystem Size Used Avail Use% Mounted on\n/dev/sda1 1 1 0 {used} /\n")


@mounts("mount")
def mount(machine: Machine, call: Call) -> Reply:
    """Mount an NFS export."""
    words, options = operands(call, "-t -o")
    if not words:
        return findmnt(machine, Call(("findmnt",)))
    if "nfs-common" not in machine.packages:
        text = "bad option; for several filesystems (e.g. nfs, cifs) you might need a "
        return Reply(32, stderr=f"mount: {words[1]}: {text}/sbin/mount.<type> helper program.\n")
    server, _, export = words[0].partition(":")
    target = posixpath.normpath(words[1])
    found, why = machine.world.nfs(machine, server, export)
    if found is None:
        return Reply(32, stderr=f"mount.nfs: {why} for {words[0]} on {target}\n", takes_s=3)
    fstype = "nfs4" if options.get("-t", "nfs4").startswith("nfs") else options["-t"]
    machine.files.mount(
        Mount(target, found.files, "/", words[0], fstype, options.get("-o") or "rw")
    )
    return Reply()


@mounts("umount")
def umount(machine: Machine, call: Call) -> Reply:
    """Take a mount away."""
    machine.files.umount(operands(call)[0][0])
    return Reply()


@mounts("showmount")
def showmount(machine: Machine, call: Call) -> Reply:
    """What a server exports."""
    server = operands(call)[0][0]
    why = machine.world.reach(machine, server, 2049)
    if why:
        return Reply(1, stderr=f"clnt_create: RPC: Unable to receive: {why}\n", takes_s=3)
    nas = machine.world.find_ip(server)
    lines = [f"{row['path']} {','.join(row['networks'] or ['*'])}\n" for row in nas.exports()]
    head = "" if "--no-headers" in call.argv else f"Export list for {server}:\n"
    return Reply(0, head + "".join(lines))
