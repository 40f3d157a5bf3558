"""Programs of a Linux machine: what it is, its packages, modules, settings and mounts."""

import json
import posixpath
import shlex
from typing import TYPE_CHECKING

from homelab_lib.twin.files import Mount
from homelab_lib.twin.machine import Commands, operands
from homelab_lib.twin.network import NetError
from homelab_lib.twin.shell import Call, Reply, absolute

if TYPE_CHECKING:
    from homelab_lib.twin.machine import Machine

linux = Commands()

REPOSITORY = {
    "qemu-guest-agent": "1:9.2.1+ds-1",
    "nfs-common": "1:2.8.3-1",
    "curl": "8.14.1-2",
    "ca-certificates": "20250419",
    "htop": "3.4.1-5",
    "open-iscsi": "2.1.11-1",
    "iperf3": "3.18-2",
    "jq": "1.7.1-6",
    "tmux": "3.5a-3",
}
"""What the distribution's archive holds, as far as anybody here asks for it."""

_ROUTE_MTU = 1500


@linux("sudo")
def sudo(machine: "Machine", call: Call) -> Reply:
    """Run a program as root."""
    words = list(call.argv[1:])
    while words and words[0] in ("-n", "-E", "-H", "--"):
        words.pop(0)
    if not words:
        return Reply(1, stderr="usage: sudo command\n")
    return machine.call(Call(tuple(words), call.stdin, "root", call.env))


@linux("env")
def env(machine: "Machine", call: Call) -> Reply:
    """Run a program with more environment."""
    words, more = list(call.argv[1:]), dict(call.env)
    while words and "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        more[name] = value
    if not words:
        return Reply(0, "".join(f"{name}={value}\n" for name, value in sorted(more.items())))
    return machine.call(Call(tuple(words), call.stdin, call.user, more))


@linux("uname")
def uname(machine: "Machine", call: Call) -> Reply:
    """The kernel."""
    if "-r" in call.argv:
        return Reply(0, f"{machine.kernel}\n")
    if "-a" in call.argv:
        return Reply(0, f"Linux {machine.name} {machine.kernel} #1 SMP x86_64 GNU/Linux\n")
    return Reply(0, {"-n": machine.name, "-m": "x86_64"}.get(call.argv[-1], "Linux") + "\n")


@linux("hostname")
def hostname(machine: "Machine", call: Call) -> Reply:
    """The machine's name."""
    return Reply(0, f"{machine.name}\n")


@linux("whoami", "id")
def whoami(machine: "Machine", call: Call) -> Reply:
    """Who one is."""
    number = 0 if call.user == "root" else 1000
    if call.argv[0] == "whoami" or "-un" in call.argv:
        return Reply(0, f"{call.user}\n")
    if "-u" in call.argv:
        return Reply(0, f"{number}\n")
    return Reply(0, f"uid={number}({call.user}) gid={number}({call.user})\n")


@linux("which")
def which(machine: "Machine", call: Call) -> Reply:
    """Where programs are."""
    out = ""
    for name in call.argv[1:]:
        if machine.files.exists(f"/usr/local/bin/{name}"):
            out += f"/usr/local/bin/{name}\n"
        elif any(name in known.bodies for known in machine.commands):
            out += f"/usr/bin/{name}\n"
    return Reply(0 if out.count("\n") == len(call.argv) - 1 else 1, out)


@linux("uptime", "nproc", "lscpu")
def nproc(machine: "Machine", call: Call) -> Reply:
    """Load, or processors."""
    if call.argv[0] == "uptime":
        since_s = machine.world.clock.now() - machine.booted_s
        return Reply(0, f" up {since_s / 60:.0f} min, load average: 0.10, 0.10, 0.10\n")
    return Reply(0, f"{machine.threads}\n")


@linux("free")
def free(machine: "Machine", call: Call) -> Reply:
    """Memory [bytes with -b, KiB without]."""
    scale = 1 if "-b" in call.argv else 1024
    total = machine.memory_bytes // scale
    return Reply(0, f"               total        used        free\nMem: {total} 0 {total}\n")


@linux("swapon")
def swapon(machine: "Machine", call: Call) -> Reply:
    """No machine here swaps."""
    return Reply()


@linux("getent")
def getent(machine: "Machine", call: Call) -> Reply:
    """Accounts and host names."""
    out = ""
    for name in call.argv[2:]:
        if call.argv[1] == "passwd" and name in machine.accounts:
            number = 0 if name == "root" else 1000
            out += f"{name}:x:{number}:{number}::{machine.home_of(name)}:/bin/bash\n"
        if call.argv[1] in ("hosts", "ahosts") and (found := machine.world.resolve(machine, name)):
            out += f"{found}      {name}\n"
    return Reply(0 if out else 2, out)


# Packages ----------------------------------------------------------------------------------------


@linux("dpkg-query")
def dpkg_query(machine: "Machine", call: Call) -> Reply:
    """Installed packages, by ``-f`` format."""
    names, options = operands(call, "-f --showformat")
    form = options.get("-f") or options.get("--showformat") or "${Package}\t${Version}\n"
    out, err = "", ""
    for name in names or sorted(machine.packages):
        if name not in machine.packages:
            err += f"dpkg-query: no packages found matching {name}\n"
            continue
        line = form.replace("\\n", "\n").replace("\\t", "\t")
        for key, value in (
            ("${Package}", name),
            ("${binary:Package}", name),
            ("${Version}", machine.packages[name]),
            ("${Status}", "install ok installed"),
            ("${db:Status-Status}", "installed"),
        ):
            line = line.replace(key, value)
        out += line
    return Reply(1 if err else 0, out, err)


@linux("apt-get", "apt")
def apt_get(machine: "Machine", call: Call) -> Reply:
    """Install packages from the archive."""
    words, _ = operands(call, "-o")
    verb, names = words[0], words[1:]
    if call.user != "root":
        text = "E: Could not open lock file /var/lib/dpkg/lock-frontend - open "
        return Reply(100, stderr=f"{text}(13: Permission denied)\n")
    if verb in ("update", "install") and (why := machine.world.internet(machine)):
        return Reply(100, stderr=f"E: Failed to fetch http://deb.debian.org/debian  {why}\n")
    if verb == "update":
        return Reply(0, "Reading package lists...\n", takes_s=6)
    if verb not in ("install", "remove", "purge"):
        return Reply(100, stderr=f"E: Invalid operation {verb}\n")
    unknown = [name for name in names if name not in REPOSITORY and name not in machine.packages]
    if unknown:
        lines = "".join(f"E: Unable to locate package {name}\n" for name in unknown)
        return Reply(100, stderr=lines)

    def done() -> Reply:
        for name in names:
            if verb == "install":
                install(machine, name)
            else:
                machine.packages.pop(name, None)
        return Reply(0, "".join(f"Setting up {name} ...\n" for name in names))

    return Reply(takes_s=4 + 3 * len(names), finish=done)


def install(machine: "Machine", name: str) -> None:
    """Put a package in place."""
    machine.packages.setdefault(name, REPOSITORY.get(name, "1.0"))


# Kernel ------------------------------------------------------------------------------------------


@linux("lsmod")
def lsmod(machine: "Machine", call: Call) -> Reply:
    """Loaded modules."""
    rows = "".join(f"{name:<22} 16384  0\n" for name in sorted(machine.modules))
    return Reply(0, "Module                  Size  Used by\n" + rows)


@linux("modprobe")
def modprobe(machine: "Machine", call: Call) -> Reply:
    """Load a module."""
    for name in operands(call)[0]:
        if "-r" in call.argv:
            machine.modules.discard(name)
        elif name.replace("-", "_") in machine.world.known_modules:
            machine.modules.add(name.replace("-", "_"))
        else:
            text = f"modprobe: FATAL: Module {name} not found in directory /lib/modules/"
            return Reply(1, stderr=f"{text}{machine.kernel}\n")
    return Reply()


@linux("sysctl")
def sysctl(machine: "Machine", call: Call) -> Reply:
    """Kernel settings."""
    words, options = operands(call, "-p")
    if "--system" in options or "-p" in options:
        for path in machine.files.walk("/etc/sysctl.d"):
            for line in machine.files.text(path).splitlines() if path.endswith(".conf") else ():
                name, equals, value = line.partition("=")
                if equals and not name.startswith("#"):
                    machine.sysctl[name.strip()] = value.strip()
        return Reply()
    out, err = "", ""
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            machine.sysctl[name] = value
        elif name not in machine.sysctl and machine.ask is not None:
            answer = machine.ask(machine.name, ("sysctl", "-n", name))
            if answer is not None and answer[0] == 0:
                machine.sysctl[name] = answer[1].strip()
        if name not in machine.sysctl:
            key = name.replace(".", "/")
            err += f"sysctl: cannot stat /proc/sys/{key}: No such file or directory\n"
        else:
            shown = machine.sysctl[name]
            out += f"{shown}\n" if "-n" in options else f"{name} = {shown}\n"
    return Reply(1 if err else 0, out, err)


# Network -----------------------------------------------------------------------------------------


@linux("ip")
def ip(machine: "Machine", call: Call) -> Reply:
    """Addresses and links."""
    words, options = operands(call)
    if words[:1] not in (["addr"], ["address"], ["a"], ["link"], ["route"]):
        return Reply(1, stderr=f'Object "{" ".join(words)}" is unknown, try "ip help".\n')
    if words[0] == "route":
        routes = [
            {"dst": "default", "gateway": i.gateway, "dev": i.name}
            for i in machine.interfaces
            if i.gateway
        ]
        return Reply(0, json.dumps(routes) + "\n")
    rows = [
        {
            "ifname": each.name,
            "mtu": each.mtu,
            "operstate": "UP" if each.up else "DOWN",
            "address": each.mac,
            "addr_info": [
                {
                    "family": "inet",
                    "local": each.address,
                    "prefixlen": int(each.cidr.partition("/")[2]),
                }
            ]
            if each.cidr
            else [],
        }
        for each in machine.interfaces
    ]
    if options.keys() & {"-j", "-json", "-o", "-n", "-s"}:
        return Reply(0, json.dumps(rows) + "\n")
    return Reply(0, "".join(f"{r['ifname']}: {r['operstate']}\n" for r in rows))


@linux("ping")
def ping(machine: "Machine", call: Call) -> Reply:
    """Whether an address answers."""
    words, _ = operands(call, "-c -W -w -M -s -i")
    why = machine.world.reach(machine, words[-1], 0)
    if why:
        return Reply(1, f"1 packets transmitted, 0 received\n{why}\n", takes_s=2)
    return Reply(0, "1 packets transmitted, 1 received, 0% packet loss\n")


@linux("curl")
def curl(machine: "Machine", call: Call) -> Reply:
    """Fetch a page or a file."""
    words, options = operands(call, "-H -o -m -w --max-time --connect-timeout --retry --header -X")
    headers = [call.argv[i + 1] for i, w in enumerate(call.argv[:-1]) if w in ("-H", "--header")]
    named = {h.partition(":")[0].lower(): h.partition(":")[2].strip() for h in headers}
    target = options.get("-o", "")
    try:
        status, entry = machine.world.fetch(machine, words[-1], named)
    except NetError as error:
        return Reply(error.code, stderr=f"curl: ({error.code}) {error}\n", takes_s=error.takes_s)
    fails = bool({"-f", "--fail"} & options.keys()) and status >= 400
    if fails:
        return Reply(22, stderr=f"curl: (22) The requested URL returned error: {status}\n")
    shown = options.get("-w", "").replace("%{http_code}", str(status)).replace("\\n", "\n")
    takes_s = entry.size / machine.world.internet_bytes_per_s
    if not target:
        return Reply(0, entry.data + shown.encode(), takes_s=takes_s)

    def done() -> Reply:
        path = absolute(target, machine.home)
        facts = {"digest": entry.digest, "size_bytes": entry.size_bytes}
        machine.files.write(path, entry.data, **facts)
        return Reply(0, shown)

    return Reply(takes_s=takes_s, finish=done)


# Mounts ------------------------------------------------------------------------------------------


@linux("findmnt")
def findmnt(machine: "Machine", call: Call) -> Reply:
    """What is mounted where."""
    rows = [
        {"target": m.target, "source": m.source, "fstype": m.fstype, "options": m.options}
        for m in machine.files.mounts.values()
    ]
    words, options = operands(call, "-t -o -T")
    if "-t" in options:
        rows = [row for row in rows if row["fstype"] in options["-t"].split(",")]
    if words:
        rows = [row for row in rows if words[0] in (row["target"], row["source"])]
    if "-J" not in options and "--json" not in options:
        text = "".join(" ".join(row.values()) + "\n" for row in rows)
        return Reply(0 if rows else 1, text)
    return Reply(0 if rows else 1, json.dumps({"filesystems": rows}) + "\n" if rows else "")


@linux("df")
def df(machine: "Machine", call: Call) -> Reply:
    """Space."""
    full = machine.files.full
    used = "100%" if full else "10%"
    return Reply(0, f"Filesystem Size Used Avail Use% Mounted on\n/dev/sda1 1 1 0 {used} /\n")


@linux("mount")
def mount(machine: "Machine", call: Call) -> Reply:
    """Mount an NFS export."""
    words, options = operands(call, "-t -o")
    if not words:
        return findmnt(machine, Call(("findmnt",)))
    if "nfs-common" not in machine.packages:
        text = "bad option; for several filesystems (e.g. nfs, cifs) you might need a "
        return Reply(32, stderr=f"mount: {words[1]}: {text}/sbin/mount.<type> helper program.\n")
    server, _, export = words[0].partition(":")
    target = posixpath.normpath(words[1])
    files, why = machine.world.nfs(machine, server, export)
    if files is None:
        return Reply(32, stderr=f"mount.nfs: {why} for {words[0]} on {target}\n", takes_s=3)
    fstype = "nfs4" if options.get("-t", "nfs4").startswith("nfs") else options["-t"]
    machine.files.mount(Mount(target, files, "/", words[0], fstype, options.get("-o") or "rw"))
    return Reply()


@linux("umount")
def umount(machine: "Machine", call: Call) -> Reply:
    """Take a mount away."""
    machine.files.umount(operands(call)[0][0])
    return Reply()


@linux("showmount")
def showmount(machine: "Machine", call: Call) -> Reply:
    """What a server exports."""
    server = operands(call)[0][0]
    why = machine.world.reach(machine, server, 2049)
    if why:
        return Reply(1, stderr=f"clnt_create: RPC: Unable to receive: {why}\n", takes_s=3)
    nas = machine.world.find_ip(server)
    lines = [f"{row['path']} {','.join(row['networks'] or ['*'])}\n" for row in nas.exports()]
    return Reply(0, f"Export list for {server}:\n" + "".join(lines))


@linux("cloud-init")
def cloud_init(machine: "Machine", call: Call) -> Reply:
    """How far the first boot has come."""
    status, errors = getattr(machine, "cloud_init", ("done", []))
    if "json" in call.argv:
        document = {"status": status, "errors": errors, "extended_status": status}
        return Reply(1 if status == "error" else 0, json.dumps(document) + "\n")
    return Reply(1 if status == "error" else 0, f"status: {status}\n")


@linux("command")
def command(machine: "Machine", call: Call) -> Reply:
    """``command -v``: where a program is."""
    return which(machine, Call(("which", *call.argv[2:]), b"", call.user, call.env))


@linux("logger")
def logger(machine: "Machine", call: Call) -> Reply:
    """Write into the journal."""
    machine.log("", shlex.join(call.argv[1:]))
    return Reply()
