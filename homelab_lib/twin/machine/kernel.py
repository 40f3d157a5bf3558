"""Programs about the kernel: its modules and settings."""

from homelab_lib.errors import HomelabError
from homelab_lib.twin.machine import graphics_drivers
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands

kernel = Commands()


@kernel("lsmod")
def lsmod(machine: Machine, call: Call) -> Reply:
    """Loaded modules."""
    rows = "".join(f"{name:<22} 16384  0\n" for name in sorted(machine.modules))
    return Reply(0, "Module                  Size  Used by\n" + rows)


@kernel("modprobe")
def modprobe(machine: Machine, call: Call) -> Reply:
    """Load a module."""
    for name in operands(call)[0]:
        if "-r" in call.argv:
            machine.modules.discard(name)
        elif graphics_drivers.has_module(machine, name):
            graphics_drivers.load(machine, name.replace("-", "_"))
        else:
            text = f"modprobe: FATAL: Module {name} not found in directory /lib/modules/"
            return Reply(1, stderr=f"{text}{machine.kernel}\n")
    return Reply()


def _asked(machine: Machine, name: str) -> tuple[int, str, str]:
    """What the real host behind a machine says of a setting."""
    assert machine.ask is not None
    try:
        answer = machine.ask(machine.name, ("sysctl", "-n", name))
    except HomelabError as error:
        return 1, "", f"sysctl: {error.what}\n"
    return answer or (1, "", f'sysctl: reading key "{name}": Host is down\n')


@kernel("sysctl")
def sysctl(machine: Machine, call: Call) -> Reply:
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
            status, said, complaint = _asked(machine, name)
            if status:
                err += complaint  # in its own words: not every failure says that there is none
                continue
            machine.sysctl[name] = said.strip()
        if name not in machine.sysctl:
            key = name.replace(".", "/")
            err += f"sysctl: cannot stat /proc/sys/{key}: No such file or directory\n"
        else:
            shown = machine.sysctl[name]
            out += f"{shown}\n" if "-n" in options else f"{name} = {shown}\n"
    return Reply(1 if err else 0, out, err)
