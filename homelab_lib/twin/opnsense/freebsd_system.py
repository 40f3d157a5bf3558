"""FreeBSD's programs about the system: kernel, services, packages.

Source: uname(1), sysctl(8), service(8), pkg(8) of FreeBSD 15;
opnsense/core, src/sbin/opnsense-version.
"""

import re

from homelab_lib.twin.machine.program import Call, Commands, Reply, fails
from homelab_lib.twin.opnsense.box import Box
from homelab_lib.twin.opnsense.freebsd_processes import DAEMONS

freebsd_system = Commands()

_FIELDS = {
    "A": "amd64",
    "N": "OPNsense",
    "n": "opnsense",
    "e": "project@opnsense.org",
    "w": "https://opnsense.org/",
    "t": "core",
}


@freebsd_system("uname")
def uname(box: Box, call: Call) -> Reply:
    """The kernel."""
    number = f"{box.kernel.split('.')[0]}0{box.kernel.split('.')[1][:1]}000"
    facts = {"s": "FreeBSD", "n": _full_name(box), "r": box.kernel}
    facts |= {"v": f"FreeBSD {box.kernel} stable/{box.version} SMP", "m": "amd64"}
    more = {"p": "amd64", "i": "SMP", "o": "FreeBSD", "K": number, "U": number}
    letters = "".join(word[1:] for word in call.argv[1:])
    if unknown := set(letters) - set("a") - facts.keys() - more.keys():
        return fails(call, f"illegal option -- {min(unknown)}\nusage: uname [-abiKmnoprsUv]")
    if "a" in letters:
        return Reply(0, " ".join(facts.values()) + "\n")
    wanted = [name for name in "snrvmpioKU" if name in letters] or ["s"]
    return Reply(0, " ".join((facts | more)[name] for name in wanted) + "\n")


def _full_name(box: Box) -> str:
    config = box.config.read()
    name = config.findtext("system/hostname") or box.name
    return f"{name}.{config.findtext('system/domain') or 'internal'}"


@freebsd_system("hostname")
def hostname(box: Box, call: Call) -> Reply:
    """Its name, with ``-s`` without its domain."""
    name = _full_name(box)
    return Reply(0, (name.partition(".")[0] if "-s" in call.argv else name) + "\n")


@freebsd_system("printenv")
def printenv(box: Box, call: Call) -> Reply:
    """The environment, or one of it; whence a login came, the real box behind a seeded one says."""
    if len(call.argv) == 1:
        return Reply(0, "".join(f"{name}={value}\n" for name, value in call.env.items()))
    if call.argv[1] == "SSH_CONNECTION" and (said := box.said(*call.argv)) is not None:
        return said
    value = call.env.get(call.argv[1])
    return Reply(1) if value is None else Reply(0, f"{value}\n")


@freebsd_system("nproc")
def nproc(box: Box, call: Call) -> Reply:
    """How many threads the processors have."""
    return Reply(0, f"{box.threads}\n")


@freebsd_system("pwd")
def pwd(box: Box, call: Call) -> Reply:
    """The folder that one is in."""
    return Reply(0, f"{call.cwd}\n")


@freebsd_system("opnsense-version")
def opnsense_version(box: Box, call: Call) -> Reply:
    """Name and version, or what is asked for."""
    letters = "".join(word[1:] for word in call.argv[1:] if word.startswith("-"))
    series = ".".join(box.version.split(".")[:2])
    fields = _FIELDS | {"v": box.version, "V": series, "a": series, "i": "", "H": "", "l": ""}
    if unknown := [letter for letter in letters if letter not in fields]:
        what = f"Illegal option -{unknown[0]}\nUsage: man opnsense-version\n"
        return Reply(1, stderr=what)
    if not letters:
        return Reply(0, f"OPNsense {box.version} (amd64)\n")
    return Reply(0, " ".join(fields[letter] for letter in letters) + "\n")


@freebsd_system("sysctl")
def sysctl(box: Box, call: Call) -> Reply:
    """Variables of the kernel; of a seeded box, in the real one's own words."""
    flags = "".join(word[1:] for word in call.argv[1:] if word.startswith("-"))
    out, err = "", ""
    known = _variables(box) | box.sysctl | box.tuned
    words = [word for word in call.argv[1:] if not word.startswith("-")]
    if box.ask is not None and not any("=" in word or word in box.tuned for word in words):
        said = box.said(*call.argv)
        assert said is not None
        return said
    for word in words or (sorted(known) if "a" in flags else []):
        name, equals, value = word.partition("=")
        if name not in known:
            err += "" if "i" in flags else f"sysctl: unknown oid '{name}'\n"
        elif equals:
            out += f"{name}: {known[name]} -> {value}\n"
            box.tuned[name] = value
        else:
            out += f"{known[name]}\n" if "n" in flags else f"{name}: {known[name]}\n"
    return Reply(1 if err else 0, out, err)


def _variables(box: Box) -> dict[str, str]:
    found = {
        "hw.machine": "amd64",
        "hw.model": box.cpu_model,
        "hw.ncpu": str(box.threads),
        "hw.physmem": str(box.memory_bytes),
        "hw.realmem": str(2 ** (box.memory_bytes - 1).bit_length()),
        "kern.boottime": f"{{ sec = {int(box.booted_s)}, usec = 0 }}",
        "kern.hostname": _full_name(box),
        "kern.osrelease": box.kernel,
        "kern.ostype": "FreeBSD",
        "net.inet.ip.forwarding": "1",
        "net.inet6.ip6.forwarding": "1",
        "dev.netmap.admode": "0",
    }
    for name in box.links.by_name:
        driver, number = re.fullmatch(r"([a-z_]+)(.*)", name).groups()  # type: ignore[union-attr]
        if driver in ("ixl", "ix") and number.isdigit():
            title = "Intel(R) Ethernet Controller X710 for 10GbE SFP+ - 2.3.3-k"
            found[f"dev.{driver}.{number}.%desc"] = title
            if driver == "ixl":
                found[f"dev.{driver}.{number}.fw_version"] = _FIRMWARE
    return found


_FIRMWARE = "fw 9.153.78577 api 1.15 nvm 9.53 etid 8000fd13 oem 1.270.0"


# ----------------------------------------------------------------------------- services


@freebsd_system("service")
def service(box: Box, call: Call) -> Reply:
    """Start, stop, or look at a daemon."""
    name, verb = (*call.argv[1:3], "", "")[:2]
    known = {"suricata": "ids", "openssh": "sshd", "sshd": "sshd", "configd": "configd"}
    key = known.get(name, name)
    if key not in {*DAEMONS, *known.values(), "wireguard"}:
        return Reply(1, stderr=f"{name} does not exist in /etc/rc.d or the local startup\n")
    return rc(box, name, key, verb)


def rc(box: Box, name: str, key: str, verb: str) -> Reply:
    """What a script in rc.d does."""
    runs = box.started.get(key, key in ("sshd", "configd"))
    match verb.removeprefix("one"):
        case "status" if runs:
            return Reply(0, f"{name} is running as pid 4242.\n")
        case "status":
            return Reply(1, f"{name} is not running.\n")
        case "start" | "restart" | "stop":
            box.started[key] = not verb.endswith("stop")
            return Reply(0, f"{'Stopping' if verb.endswith('stop') else 'Starting'} {name}.\n")
    return Reply(1, stderr=f"{name}: unknown directive '{verb}'.\n")


@freebsd_system("pkg")
def pkg(box: Box, call: Call) -> Reply:
    """Which packages there are."""
    names = {"opnsense": box.version, "suricata": "8.0.6", "dnsmasq": "2.92", **box.packages}
    match call.argv[1:]:
        case ["info" | "info -q"]:
            return Reply(0, "".join(f"{n}-{v}\n" for n, v in sorted(names.items())))
        case ["info", "-e" | "-E" as how, name]:
            shown = f"{name}-{names.get(name)}\n" if how == "-E" and name in names else ""
            return Reply(0 if name in names else 1, shown)
        case ["query", form, name] if name in names:
            return Reply(0, form.replace("%v", names[name]).replace("%n", name) + "\n")
        case ["query", _, _]:
            return Reply(1)
    return Reply(64, stderr="pkg: this twin's does no more than info and query\n")


@freebsd_system("reboot", "shutdown")
def reboot(box: Box, call: Call) -> Reply:
    """Restart; `shutdown -p` switches off."""
    off = {"-p", "-h", "-ph"} & set(call.argv)
    box.world.after(1.0, box.power_off if off else box.reboot, label=call.argv[0])
    return Reply()
