"""Programs about the machine: its kernel, name, processors, memory, and where programs are."""

import json
import shlex
from typing import Any

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply

system = Commands()


@system("uname")
def uname(machine: Machine, call: Call) -> Reply:
    """The kernel."""
    if "-r" in call.argv:
        return Reply(0, f"{machine.kernel}\n")
    if "-a" in call.argv:
        return Reply(0, f"Linux {machine.name} {machine.kernel} #1 SMP x86_64 GNU/Linux\n")
    return Reply(0, {"-n": machine.name, "-m": "x86_64"}.get(call.argv[-1], "Linux") + "\n")


@system("hostname")
def hostname(machine: Machine, call: Call) -> Reply:
    """The machine's name."""
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


@system("uptime", "nproc", "lscpu")
def nproc(machine: Machine, call: Call) -> Reply:
    """Load, or processors."""
    if call.argv[0] == "uptime":
        since_s = machine.world.clock.now() - machine.booted_s
        return Reply(0, f" up {since_s / 60:.0f} min, load average: 0.10, 0.10, 0.10\n")
    return Reply(0, f"{machine.threads}\n")


@system("free")
def free(machine: Machine, call: Call) -> Reply:
    """Memory [bytes with -b, KiB without]."""
    scale = 1 if "-b" in call.argv else 1024
    total = machine.memory_bytes // scale
    return Reply(0, f"               total        used        free\nMem: {total} 0 {total}\n")


@system("swapon")
def swapon(machine: Machine, call: Call) -> Reply:
    """No machine here swaps."""
    return Reply()


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
