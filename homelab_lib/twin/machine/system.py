"""Programs about the machine: its kernel, name, memory, and where programs are."""

import json
import shlex
from datetime import UTC, datetime
from typing import Any

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.machine.usage import Usage

system = Commands()

_UNAME = Usage(
    "a,all s,kernel-name n,nodename r,kernel-release v,kernel-version m,machine p,processor "
    "i,hardware-platform o,operating-system",
    most=0,
)
_FREE = Usage("b,bytes k,kibi m,mebi g,gibi h,human w,wide t,total l,lohi", most=0)
_UPTIME = Usage("p,pretty s,since", most=0)
_HOSTNAME = Usage("f,fqdn,long s,short d,domain i,ip-address I,all-ip-addresses A", most=1)
_USED_SHARE = 0.1  # of its memory, by the system itself


@system("uname")
def uname(machine: Machine, call: Call) -> Reply:
    """The kernel."""
    given = _UNAME.of(call)
    version = "#1 SMP PREEMPT_DYNAMIC Debian 6.12.48-1 (2025-09-20)"
    facts = {
        "s": "Linux",
        "n": machine.name,
        "r": machine.kernel,
        "v": version,
        "m": "x86_64",
        "o": "GNU/Linux",
    }
    unknown = {"p": "unknown", "i": "unknown"}
    if "a" in given:
        return Reply(0, " ".join(facts.values()) + "\n")
    wanted = [name for name in "snrvmpio" if name in given] or ["s"]
    return Reply(0, " ".join((facts | unknown)[name] for name in wanted) + "\n")


@system("hostname")
def hostname(machine: Machine, call: Call) -> Reply:
    """The machine's name, or with ``-I`` its addresses."""
    if "I" in _HOSTNAME.of(call):
        shown = " ".join(each.address for each in machine.interfaces if each.cidr)
        return Reply(0, f"{shown} \n")
    return Reply(0, f"{machine.name}\n")


@system("which")
def which(machine: Machine, call: Call) -> Reply:
    """Where programs are."""
    out = ""
    for name in call.argv[1:]:
        if machine.files.exists(f"/usr/local/bin/{name}"):
            out += f"/usr/local/bin/{name}\n"
        elif machine.program(name):
            out += f"/usr/bin/{name}\n"
    return Reply(0 if out.count("\n") == len(call.argv) - 1 else 1, out)


@system("command")
def command(machine: Machine, call: Call) -> Reply:
    """``command -v``: where a program is; the shell runs this where it does not know the word."""
    reply = which(machine, call.other("which", *call.argv[2:]))
    return Reply(127 if reply.status else 0, reply.stdout)


@system("logger")
def logger(machine: Machine, call: Call) -> Reply:
    """Write into the journal."""
    machine.log("", shlex.join(call.argv[1:]))
    return Reply()


@system("uptime")
def uptime(machine: Machine, call: Call) -> Reply:
    """How long it has been up, and its load."""
    given = _UPTIME.of(call)
    now = machine.world.clock.now()
    minutes = int((now - machine.booted_s) // 60)
    if "s" in given:
        begun = datetime.fromtimestamp(machine.booted_s, UTC)
        return Reply(0, begun.strftime("%Y-%m-%d %H:%M:%S\n"))
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if "p" in given:
        parts = ((days, "day"), (hours, "hour"), (rest, "minute"))
        shown = [f"{count} {noun}{'s' * (count != 1)}" for count, noun in parts if count]
        return Reply(0, f"up {', '.join(shown) or '0 minutes'}\n")
    clock = datetime.fromtimestamp(now, UTC).strftime("%H:%M:%S")
    whole = f"{days} day{'s' * (days != 1)}, " if days else ""
    since = f"{hours:2d}:{rest:02d}" if hours else f"{rest} min"
    return Reply(0, f" {clock} up {whole}{since},  1 user,  load average: 0.10, 0.10, 0.10\n")


@system("free")
def free(machine: Machine, call: Call) -> Reply:
    """Memory [KiB, or by ``-b``, ``-m``, ``-g``]."""
    given = _FREE.of(call)
    scale = next((s for o, s in (("b", 1), ("m", 2**20), ("g", 2**30)) if o in given), 1024)
    total = machine.memory_bytes // scale
    used = int(total * _USED_SHARE)
    row = (total, used, total - used, 0, 0, total - used)
    heads = ("total", "used", "free", "shared", "buff/cache", "available")
    title = " " * 7 + "".join(f"{head:>12}" for head in heads)
    memory = "Mem:".ljust(7) + "".join(f"{count:>12}" for count in row)
    swap = "Swap:".ljust(7) + "".join(f"{count:>12}" for count in (0, 0, 0))
    return Reply(0, f"{title}\n{memory}\n{swap}\n")


@system("swapon")
def swapon(machine: Machine, call: Call) -> Reply:
    """No machine here swaps."""
    return Reply()


@system("timedatectl")
def timedatectl(machine: Machine, call: Call) -> Reply:
    """Whether its clock goes by others'."""
    if call.argv[1:] != ("show", "-p", "NTPSynchronized", "--value"):
        return Reply(127, stderr="twin: its timedatectl knows one question alone\n")
    running = {unit.name for unit in machine.units.values() if unit.active == "active"}
    return Reply(0, "yes\n" if running & {"chrony", "systemd-timesyncd"} else "no\n")


@system("cloud-init")
def cloud_init(machine: Machine, call: Call) -> Reply:
    """How far the first boot has come."""
    status, errors = getattr(machine, "cloud_init", ("done", []))
    warnings: dict[str, list[str]] = getattr(machine, "cloud_init_warnings", {})
    extended = f"degraded {status}" if warnings and status != "error" else status
    exit_status = 1 if status == "error" else 2 if warnings else 0
    if "json" in call.argv:
        document: dict[str, Any] = {
            "boot_status_code": "enabled-by-generator",
            "datasource": "nocloud",
            "errors": errors,
            "extended_status": "error - done" if status == "error" else extended,
            "recoverable_errors": warnings,
            "status": status,
        }
        return Reply(exit_status, json.dumps(document, indent=2) + "\n")
    long = f"extended_status: {extended}\n" if {"--long", "-l"} & set(call.argv) else ""
    return Reply(exit_status, f"status: {status}\n{long}")
