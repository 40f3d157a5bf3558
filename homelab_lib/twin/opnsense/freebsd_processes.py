"""FreeBSD's programs about processes: `pgrep`, `pkill`, `kill`, `ps`, `daemon`.

Source: their manual pages, FreeBSD 15.
"""

import re
from collections.abc import Callable
from dataclasses import replace

from homelab_lib.twin.machine.program import Call, Commands, Pipe, Reply
from homelab_lib.twin.opnsense.background import Job
from homelab_lib.twin.opnsense.box import Box

freebsd_processes = Commands()

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
    "monit": "/usr/local/bin/monit -c /usr/local/etc/monitrc",
    "syslog": "/usr/local/sbin/syslog-ng -f /usr/local/etc/syslog-ng.conf",
}


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
    if box.boots_still():
        found[200] = "/usr/local/bin/php /usr/local/etc/rc.bootup"
    if box.started.get("ids"):
        found[600] = box.suricata.command
    found |= {job.number: " ".join(job.call.argv) for job in box.jobs if not job.ended}
    return found


@freebsd_processes("pgrep")
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


@freebsd_processes("pkill")
def pkill(box: Box, call: Call) -> Reply:
    """End what is in the background, by name or by line."""
    flags, words = _flags(call)
    fitting = [
        number for number, line in processes(box).items() if _meant(line, words, flags - {"T"})
    ]
    for number in fitting:
        _end(box, number)
    return Reply(0 if fitting else 1)


@freebsd_processes("kill")
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


@freebsd_processes("ps")
def ps(box: Box, call: Call) -> Reply:
    """All processes."""
    rows = [f"{number:5} -  S    0:00.10 {line}\n" for number, line in processes(box).items()]
    return Reply(0, "  PID TT  STAT    TIME COMMAND\n" + "".join(rows))


@freebsd_processes("daemon")
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
