"""FreeBSD's programs about the system: kernel, processes, services, packages.

Source: uname(1), sysctl(8), pgrep(1), daemon(8), service(8), pkg(8) of FreeBSD 15;
opnsense/core, src/sbin/opnsense-version.
"""

import re
from collections.abc import Callable
from dataclasses import replace

from homelab_lib.twin.machine.program import Call, Commands, Pipe, Reply, fails
from homelab_lib.twin.opnsense.background import Job
from homelab_lib.twin.opnsense.box import Box

freebsd_system = Commands()

DAEMONS = {
    "dnsmasq": ("dnsmasq",),
    "kea": ("kea-dhcp4", "kea-dhcp6"),
    "unbound": ("unbound",),
    "cron": ("cron",),
    "ntpd": ("ntpd", "chronyd"),
    "ids": ("suricata", "Suricata-Main"),
    "monit": ("monit",),
    "syslog": ("syslog-ng",),
}
"""What runs where a service does, by the service."""

_DAEMONS = {
    "dnsmasq": "/usr/local/sbin/dnsmasq -x /var/run/dnsmasq.pid -C /usr/local/etc/dnsmasq.conf",
    "kea": "/usr/local/sbin/kea-dhcp4 -c /usr/local/etc/kea/kea-dhcp4.conf",
    "unbound": "/usr/local/sbin/unbound -c /var/unbound/unbound.conf",
    "cron": "/usr/sbin/cron -s",
    "ntpd": "/usr/local/sbin/ntpd -g -c /var/etc/ntpd.conf",
    "wireguard": "",
}
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
    config = box.config.load()
    name = config.findtext("system/hostname") or box.name
    return f"{name}.{config.findtext('system/domain') or 'internal'}"


@freebsd_system("hostname")
def hostname(box: Box, call: Call) -> Reply:
    """Its name, with ``-s`` without its domain."""
    name = _full_name(box)
    return Reply(0, (name.partition(".")[0] if "-s" in call.argv else name) + "\n")


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
    """Variables of the kernel."""
    flags = "".join(word[1:] for word in call.argv[1:] if word.startswith("-"))
    out, err = "", ""
    known = _variables(box) | box.sysctl
    words = [word for word in call.argv[1:] if not word.startswith("-")]
    for word in words or (sorted(known) if "a" in flags else []):
        name, equals, value = word.partition("=")
        if name not in known:
            err += "" if "i" in flags else f"sysctl: unknown oid '{name}'\n"
        elif equals:
            out += f"{name}: {known[name]} -> {value}\n"
            box.sysctl[name] = value
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


# ---------------------------------------------------------------------------- processes


def processes(box: Box) -> dict[int, str]:
    """What runs, by number: daemons that are started, and what is in the background."""
    found = {
        1: "/sbin/init",
        310: "/usr/sbin/sshd",
        320: "configd",
        330: "lighttpd",
        340: "php-cgi",
    }
    found |= {
        400 + number: line
        for number, (name, line) in enumerate(_DAEMONS.items())
        if line and box.started.get(name)
    }
    if box.started.get("ids"):
        found[600] = box.suricata.command
    found |= {job.number: " ".join(job.call.argv) for job in box.jobs if not job.ended}
    return found


@freebsd_system("pgrep")
def pgrep(box: Box, call: Call) -> Reply:
    """Numbers of processes by their name, with ``-f`` by the whole line."""
    flags, words = _flags(call)
    if not words:
        return Reply(2, stderr="usage: pgrep [-LSafilnoqvx] [-d delim] [-F pidfile] pattern ...\n")
    out = "".join(
        f"{number} {line if 'f' in flags else _short(line)}\n" if "l" in flags else f"{number}\n"
        for number, line in processes(box).items()
        if _meant(line, words, flags)
    )
    return Reply(0 if out else 1, "" if "q" in flags else out)


@freebsd_system("pkill")
def pkill(box: Box, call: Call) -> Reply:
    """End what is in the background, by name or by line."""
    flags, words = _flags(call)
    fitting = [
        number for number, line in processes(box).items() if _meant(line, words, flags - {"T"})
    ]
    for number in fitting:
        _end(box, number)
    return Reply(0 if fitting else 1)


@freebsd_system("kill")
def kill(box: Box, call: Call) -> Reply:
    """End a process, or with ``-0`` ask whether it is there."""
    asks = "-0" in call.argv
    for word in call.argv[1:]:
        if word.startswith("-"):
            continue
        if not word.isdigit() or int(word) not in processes(box):
            return Reply(1, stderr=f"kill: {word}: No such process\n")
        if not asks:
            _end(box, int(word))
    return Reply()


def _end(box: Box, number: int) -> None:
    for job in box.jobs:
        job.ended = job.ended or job.number == number
    for place, name in enumerate(_DAEMONS):
        if number == 400 + place:
            box.started[name] = False
    if number == 600:
        box.started["ids"] = False


def _flags(call: Call) -> tuple[set[str], list[str]]:
    flags = "".join(word[1:] for word in call.argv[1:] if re.fullmatch(r"-[A-Za-z]+", word))
    return set(flags), [word for word in call.argv[1:] if not word.startswith("-")]


def _short(line: str) -> str:
    return line.split()[0].rpartition("/")[2]


def _meant(line: str, patterns: list[str], flags: set[str]) -> bool:
    text = line if "f" in flags else _short(line)
    match: Callable[..., object] = re.fullmatch if "x" in flags else re.search
    return any(match(pattern, text) for pattern in patterns)


@freebsd_system("ps")
def ps(box: Box, call: Call) -> Reply:
    """All processes."""
    rows = [f"{number:5} -  S    0:00.10 {line}\n" for number, line in processes(box).items()]
    return Reply(0, "  PID TT  STAT    TIME COMMAND\n" + "".join(rows))


@freebsd_system("daemon")
def daemon(box: Box, call: Call) -> Reply:
    """Run a program in the background."""
    words, pidfile = list(call.argv[1:]), ""
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word == "--":
            break
        if word in ("-p", "-o", "-t", "-u"):
            value = words.pop(0) if words else ""
            pidfile = value if word == "-p" else pidfile
        elif re.fullmatch(r"-[cf]+", word) is None:
            return Reply(1, stderr=f"daemon: this twin does not know {word}\n")
    if not words:
        return Reply(1, stderr="usage: daemon [-cfHrS] [-p child_pidfile] … command\n")
    job: Job = box.start_job(replace(call, argv=tuple(words), source=Pipe()))
    if pidfile:
        box.files.write(call.path(pidfile), f"{job.number}".encode(), box.who(call))
    return Reply()


# ----------------------------------------------------------------------------- services


@freebsd_system("service")
def service(box: Box, call: Call) -> Reply:
    """Start, stop, or look at a daemon."""
    name, verb = (*call.argv[1:3], "", "")[:2]
    known = {"suricata": "ids", "openssh": "sshd", "sshd": "sshd", "configd": "configd"}
    key = known.get(name, name)
    if key not in {*_DAEMONS, *known.values()}:
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
