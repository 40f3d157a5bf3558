"""HAProxy in front of web servers, by its own configuration.

Sources: HAProxy's configuration manual 2.6 (4.2 keywords, 5.2 server options, 7.1 conditions in
braces); its management manual, 9.1, and the first columns of a 2.6 that ran. When a server is
asked, its check has the verdict that it has by then: the seconds that a real one takes to notice
are not waited for, since it asks another at once where a connection fails (`on-error`). A real one
knows more keywords than this one, which refuses them in the same words.
"""

import csv
import io
import ipaddress
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands
from homelab_lib.twin.machine.surroundings import BODY, FROM, METHOD, Answer, NetError
from homelab_lib.twin.machine.unit import Unit

haproxy_programs = Commands()
_KNOWN = {
    "global": "log",
    "defaults": "mode log option retries retry-on timeout default-server",
    "listen": "bind mode option http-check http-request default-server server stats timeout log",
}
_NO_SERVER = b"""<html><body><h1>503 Service Unavailable</h1>
No server is available to handle this request.
</body></html>
"""
_FORBIDDEN = b"""<html><body><h1>403 Forbidden</h1>
Request forbidden by administrative rules.
</body></html>
"""
_COLUMNS = (
    *("pxname", "svname", "qcur", "qmax", "scur", "smax", "slim", "stot", "bin", "bout", "dreq"),
    *("dresp", "ereq", "econ", "eresp", "wretr", "wredis", "status", "weight", "act", "bck"),
)
_PAGE_OF_NUMBERS = (
    b'<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN"\n'
    b'"http://www.w3.org/TR/html4/loose.dtd">\n'
    b"<html><head><title>Statistics Report for HAProxy</title>\n</head></html>\n"
)


class Broken(Exception):
    """What it does not take of a file."""


@dataclass
class Backend:
    """A server behind it."""

    name: str
    url: str
    backup: bool
    checked: bool
    served: int = 0


@dataclass
class Listen:
    """A ``listen`` section."""

    name: str
    binds: list[tuple[str, int]] = field(default_factory=list)
    servers: list[Backend] = field(default_factory=list)
    defaults: list[str] = field(default_factory=list)  # what its servers have, too
    headers: dict[str, str] = field(default_factory=dict)
    denies: list[list[tuple[str, list[str]]]] = field(default_factory=list)  # unless one fits
    check: dict[str, str] = field(default_factory=dict)
    expected: int = 200
    statistics: str = ""


def parsed(text: str, path: str) -> list[Listen]:
    """Its sections that listen.

    Raises
    ------
    Broken
        With its own words.
    """
    found: list[Listen] = []
    section = ""
    defaults: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = shlex.split(line, comments=True)
        if not words:
            continue
        if words[0] in _KNOWN:
            section = words[0]
            if section == "listen":
                found.append(Listen(words[1], defaults=list(defaults)))
        elif words[0] not in _KNOWN.get(section, "").split():
            says = f"unknown keyword '{words[0]}' in '{section}' section"
            raise Broken(
                f"[ALERT]    (1) : config : parsing [{path}:{number}] : {says}\n"
                f"[ALERT]    (1) : config : Error(s) found in configuration file : {path}\n"
                "[ALERT]    (1) : config : Fatal errors found in configuration.\n"
            )
        elif words[0] == "default-server" and section == "defaults":
            defaults += words[1:]
        elif section == "listen":
            _take(found[-1], words)
    return found


def _take(listen: Listen, words: list[str]) -> None:
    match words:
        case ["bind", place, *_]:
            address, _, port = place.rpartition(":")
            listen.binds.append((address, int(port)))
        case ["server", name, place, *options]:
            known = {*listen.defaults, *options}
            flags = ("backup" in options, "check" in known and "no-check" not in options)
            listen.servers.append(Backend(name, f"http://{place}", *flags))
        case ["default-server", *options]:
            listen.defaults += options
        case ["http-request", "set-header", name, value]:
            listen.headers[name.lower()] = value
        case ["http-request", "deny", "unless", *condition]:
            listen.denies.append(list(_conditions(condition)))
        case ["http-check", "send", *pairs]:
            listen.check = _check(pairs)
        case ["http-check", "expect", "status", status]:
            listen.expected = int(status)
        case ["stats", "uri", path]:
            listen.statistics = path


def _check(words: list[str]) -> dict[str, str]:
    found, rest = {METHOD: "GET", ":path": "/"}, iter(words)
    for word in rest:
        if word == "hdr":
            found[next(rest).lower()] = next(rest)
        else:
            known = {"meth": METHOD, "uri": ":path", "body": BODY, "ver": ":version"}
            found[known[word]] = next(rest)
    return found


def _conditions(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    """``{ path /a /b } || { src 10.0.0.0/8 }``."""
    for found in re.finditer(r"\{ (\S+) ([^}]*) \}", " ".join(words)):
        yield found[1], found[2].split()


class Balancer:
    """One that runs."""

    def __init__(self, machine: Machine, sections: list[Listen]) -> None:
        self.machine, self.sections = machine, sections

    def answer(self, listen: Listen, address: str, path: str, headers: dict[str, str]) -> Answer:
        """What comes of a request at a port."""
        source = headers.get(FROM, "")
        own = source in ("127.0.0.1", self.machine.address)
        if address.startswith("127.") and not own:
            raise NetError(7, "Connection refused")
        if listen.statistics and path.startswith(listen.statistics):
            table = path.partition("?")[0].endswith(";csv")
            return 200, self._statistics().encode() if table else _PAGE_OF_NUMBERS, 0.0
        asked = "127.0.0.1" if own else source
        for conditions in listen.denies:
            if not any(_fits(kind, values, path, asked) for kind, values in conditions):
                return 403, _FORBIDDEN, 0.0
        for server in sorted(listen.servers, key=lambda each: each.backup):
            if not self.is_up(listen, server):
                continue
            try:
                status, entry = self._sent(server, path, headers | listen.headers)
            except NetError:
                continue
            server.served += 1
            return status, entry, 0.0
        return 503, _NO_SERVER, 0.0

    def is_up(self, listen: Listen, server: Backend) -> bool:
        """What its check says of a server; one that none looks at is always asked."""
        if not server.checked:
            return True
        told = dict(listen.check)
        try:
            return self._sent(server, told.pop(":path", "/"), told)[0] == listen.expected
        except NetError:
            return False

    def _sent(self, server: Backend, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        told = {key: value for key, value in headers.items() if key not in (FROM, ":version")}
        status, entry = self.machine.world.fetch(self.machine, f"{server.url}{path}", told)
        return status, entry.data

    def _statistics(self) -> str:
        page = io.StringIO()
        rows = csv.DictWriter(page, _COLUMNS, restval="", lineterminator=",\n")
        for listen in self.sections:
            served = sum(server.served for server in listen.servers)
            states = {each.name: self._state(listen, each) for each in listen.servers}
            whole = "DOWN" if set(states.values()) == {"DOWN"} else "UP"
            rows.writerow(_row(listen.name, "FRONTEND", served, "OPEN"))
            for server in listen.servers:
                row = _row(listen.name, server.name, server.served, states[server.name])
                kind = {"act": int(not server.backup), "bck": int(server.backup)}
                rows.writerow(row | kind | {"weight": 1})
            rows.writerow(_row(listen.name, "BACKEND", served, whole))
        return f"# {','.join(_COLUMNS)},\n{page.getvalue()}"

    def _state(self, listen: Listen, server: Backend) -> str:
        if not server.checked:
            return "no check"
        return "UP" if self.is_up(listen, server) else "DOWN"


def _row(listen: str, name: str, served: int, status: str) -> dict[str, object]:
    return {"pxname": listen, "svname": name, "stot": served, "status": status}


def _fits(kind: str, values: list[str], path: str, source: str) -> bool:
    plain = path.partition("?")[0]
    if kind == "path":
        return plain in values
    if kind == "path_beg":
        return plain.startswith(tuple(values))
    return any(ipaddress.ip_address(source) in ipaddress.ip_network(each) for each in values)


@haproxy_programs("haproxy")
def haproxy(machine: Machine, call: Call) -> Reply:
    """It checks its configuration; or runs in the foreground, as a service."""
    _, options = operands(call, "-f -p")
    path = options.get("-f", "")
    try:
        sections = parsed(machine.files.text(path), path)
    except Broken as error:
        return Reply(1, stderr=str(error))
    if "-c" in options:
        return Reply(0, "" if "-q" in options else "Configuration file is valid\n")
    started = [u for u in machine.units.values() if f"haproxy -db -f {path}" in _file(machine, u)]
    if not started:
        return Reply(1, stderr="twin: its haproxy is a service alone\n")
    balancer = Balancer(machine, sections)
    for listen in sections:
        for address, port in listen.binds:
            machine.http[port] = partial(balancer.answer, listen, address)
            machine.listeners[port] = lambda: started[0].active == "active"
    return Reply()


def _file(machine: Machine, unit: Unit) -> str:
    return machine.files.text(f"/etc/systemd/system/{unit.name}.service")
