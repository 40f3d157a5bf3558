"""Makes a twin's OPNsense what a real one says it is.

All that it is set to is in one file, and so are its secrets. These are blotted out on the box: what
is asked for is the file without them, by a script that only prints. What is in force is asked of
the kernel: devices and addresses, the rules that pf has loaded, what runs.
"""

import csv
import json
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any
from xml.etree import ElementTree as ET

from homelab_lib.answers import not_understood
from homelab_lib.twin.machine.entry import KINDS, NOTHING, Entry, FileError
from homelab_lib.twin.machine.files import FileSystem
from homelab_lib.twin.machine.seeding import NOT_ASKED, filled, printed
from homelab_lib.twin.machine.surroundings import Ask
from homelab_lib.twin.machine.tree import Loader
from homelab_lib.twin.opnsense.api import Api
from homelab_lib.twin.opnsense.box import Box
from homelab_lib.twin.opnsense.config import BACKUPS, Config
from homelab_lib.twin.opnsense.config import PLACE as CONFIG
from homelab_lib.twin.opnsense.endpoints import endpoints
from homelab_lib.twin.opnsense.firewall import SERVICES, Device
from homelab_lib.twin.opnsense.freebsd_processes import DAEMONS
from homelab_lib.twin.opnsense.leases import Lease
from homelab_lib.twin.opnsense.links import Link, Links
from homelab_lib.twin.opnsense.pf import PacketFilter
from homelab_lib.twin.opnsense.rules import mapped
from homelab_lib.twin.opnsense.web import WEB_PORT

PROBE = (
    "$secret = '/passw|passphrase|secret|apikeys|otp_seed|privkey|private|^prv$|psk|pre-shared|"
    "^key$|token|community|authkey|fileTags|authorizedkeys/i'; "
    "function hide($node, $secret) { foreach ($node->children() as $name => $child) { "
    "if (preg_match($secret, $name)) { $child[0] = ''; } else { hide($child, $secret); } } } "
    "$config = simplexml_load_file('/conf/config.xml'); hide($config, $secret); "
    "echo $config->asXML();"
)
"""Prints the configuration without what is nobody's business."""

REVISIONS = (
    "foreach (array_merge(glob('/conf/*.xml'), glob('/conf/backup/*.xml')) as $file) { "
    "$config = simplexml_load_file($file); if ($config !== false) { "
    "$revision = $config->revision; echo json_encode(['file' => $file, "
    "'written' => filemtime($file), 'time' => (string)$revision->time, "
    "'by' => (string)$revision->username, 'what' => (string)$revision->description, "
    "'key' => isset($revision->user_apitoken)]), \"\\n\"; } }"
)
"""Prints the revision of each configuration that lies there, a line of JSON each."""
SHOWN = ("curl", "-sSIk", "-m", "20", "-w", "%{certs}", f"https://127.0.0.1:{WEB_PORT}/")
"""Prints the certificate of its web interface."""
_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----\n[\w+/=\n]+-----END CERTIFICATE-----\n", re.ASCII
)
_TOLD = {"file", "written", "time", "by", "what", "key"}

_FORM = "%p|%Su|%Sg|%z|%N"
_RECORD = re.compile(r"([0-7]{1,7})\|([^|]+)\|([^|]+)\|(\d{1,20})\|(.+)")
_DEVICE = re.compile(r"^(\S+): flags=", re.MULTILINE)
_NO_CARDS = re.compile(r"(lo|pflog|pfsync|enc|ovpn|wg|tun|tap|tailscale)\d*")
_LABEL = re.compile(r'label "([0-9a-f-]{36})"')
_REDIRECTED = re.compile(r"rdr .*?\bon (\S+) .*-> <?([^\s>]+)>?(?: port (\d+))?")
_NEVER = ("/conf/config.xml", "/conf/backup/", "/var/etc/")
_SURICATA = "/usr/local/etc/suricata"


def seed_opnsense(box: Box, ask: Ask) -> None:
    """Version, configuration, devices, rules, what runs."""
    version = printed(ask, box.name, "opnsense-version", "-v")
    if version:
        box.version = version.strip()
        box.serve(Api(box, endpoints(box.release)))
    text = printed(ask, box.name, "php", "-r", PROBE)
    try:
        root = ET.fromstring(text) if text else ET.Element("opnsense")
    except ET.ParseError as error:
        why = f"its configuration is no XML: {error}"
        raise not_understood(box.name, "php -r …", why) from None
    told = _history(ask, box.name)
    box.files = FileSystem(loader=_loader(ask, box.name, root, told))
    last_s = max((_moment(each) for each in told.values()), default=0.0)
    box.config = Config(box.files, box.world.clock.now, last_s)
    box.config.put(root)
    for path, row in told.items():
        if path.startswith(f"{BACKUPS}/"):
            box.files.put(path, _revised(ET.Element("opnsense"), row), mode=0o640)
        else:
            box.files.exists(path)  # known from now on, and listed
    digest = printed(ask, box.name, "sha256", "-q", CONFIG) or ""
    box.files.stat(CONFIG).digest = digest.strip()  # of the file as it lies there
    _seed_links(box, printed(ask, box.name, "ifconfig") or "")
    shown = printed(ask, box.name, *SHOWN)
    if shown and (found := _CERTIFICATE.search(shown)):
        box.tls[WEB_PORT] = lambda name, pem=found[0]: pem  # type: ignore[misc]
    box.running = dict.fromkeys(SERVICES, root)
    loaded = _LABEL.findall(printed(ask, box.name, "pfctl", "-sr") or "")
    in_force = _in_force(root, set(loaded))
    _keep_redirected(in_force, printed(ask, box.name, "pfctl", "-sn"))
    box.pf = PacketFilter(box.links, in_force, root)
    names = printed(ask, box.name, "pgrep", "-l", ".") or ""
    running = {line.partition(" ")[2].strip() for line in names.splitlines()}
    box.started = {name: bool(running & set(known)) for name, known in DAEMONS.items()}
    box.started["wireguard"] = root.findtext("OPNsense/wireguard/general/enabled") == "1"
    box.lent.take_over(list(_leases(box, ask)))
    files = printed(ask, box.name, "find", _SURICATA, "-name", "*.rules") or ""
    box.suricata.take_over({line.rpartition("/")[2] for line in files.splitlines()})


def _in_force(root: ET.Element, loaded: set[str]) -> ET.Element:
    """The configuration without the rules that pf has not loaded: they wait to be applied."""
    copy = ET.fromstring(ET.tostring(root))
    rules = copy.find("OPNsense/Firewall/Filter/rules")
    devices = mapped(copy)
    for row in [] if rules is None else rules.findall("rule"):
        names = [name for name in (row.findtext("interface") or "").split(",") if name]
        there = not names or any(name in devices for name in names)
        if loaded and there and row.get("uuid") not in loaded:
            rules.remove(row)  # type: ignore[union-attr]
    return copy


def _keep_redirected(config: ET.Element, told: str | None) -> None:
    """Leave out the port forwards that pf has not loaded. They have no names there: one is known by
    its device, its target, and the port there."""
    if told is None:
        return
    there = [found.groups() for found in map(_REDIRECTED.match, told.splitlines()) if found]
    devices = mapped(config)
    for place in config.findall("nat"):
        for row in place.findall("rule"):
            target, port = row.findtext("target", ""), row.findtext("local-port", "")
            named = row.findtext("interface", "").split(",")
            known = {devices[name] for name in named if name in devices}
            loaded = any(
                device in known and to == target and (not port.isdigit() or at == port)
                for device, to, at in there
            )
            if known and not loaded:
                place.remove(row)


def _history(ask: Ask, host: str) -> dict[str, dict[str, Any]]:
    """What the box says of each configuration that lies there, by its path."""
    found = {}
    for line in (printed(ask, host, "php", "-r", REVISIONS) or "").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and row.keys() >= _TOLD:
            found[str(row["file"])] = row
    return found


def _moment(row: dict[str, Any]) -> float:
    try:
        return float(row["time"])
    except ValueError:
        return 0.0


def _revised(root: ET.Element, row: dict[str, Any]) -> bytes:
    """A configuration with the revision that is told of it; a key stays where it is."""
    copy = deepcopy(root)
    for each in copy.findall("revision"):
        copy.remove(each)
    if row["time"]:
        revision = ET.SubElement(copy, "revision")
        tags = {"username": "by", "description": "what", "time": "time"}
        for tag, name in tags.items():
            ET.SubElement(revision, tag).text = row[name]
        if row["key"]:
            ET.SubElement(revision, "user_apitoken")
    return ET.tostring(copy)


def _leases(box: Box, ask: Ask) -> Iterator[Lease]:
    """What either server has lent, by its own file."""
    files = printed(ask, box.name, "find", "/var/db", "-maxdepth", "2", "-name", "*leases*") or ""
    for path in files.split():
        if path.endswith("/dnsmasq.leases"):
            for line in (printed(ask, box.name, "cat", path) or "").splitlines():
                until, mac, address, hostname, *_ = [*line.split(), "", "", "", ""]
                if until.isdigit() and "." in address:
                    yield _lease(box, mac, address, hostname.strip("*"), float(until))
        elif path.endswith("/kea-leases4.csv"):
            for row in csv.DictReader((printed(ask, box.name, "cat", path) or "").splitlines()):
                if row.get("state") == "0":
                    until = float(row["expire"])
                    yield _lease(box, row["hwaddr"], row["address"], row["hostname"], until)


def _lease(box: Box, mac: str, address: str, hostname: str, until_s: float) -> Lease:
    link = box.links.towards(address)
    return Lease(mac.lower(), address, hostname, link.identifier if link else "", until_s)


# ------------------------------------------------------------------------------- devices


def _seed_links(box: Box, text: str) -> None:
    host = box.world.lab.hosts[box.name]
    segments = {port.interface or name: port.bridge or name for name, port in host.attached.items()}
    found = [link for link in _links(text, segments) if not _NO_CARDS.fullmatch(link.name)]
    box.links = Links([link for link in found if link.tag is None])
    box.links.take_over(found)
    box.devices = [
        *(Device(link.name, link.mac) for link in found if link.tag is None),
        *(Device(name, physical=False) for name in ("lo0", "pflog0")),
    ]
    box.show()


def _links(text: str, segments: dict[str, str]) -> Iterator[Link]:
    """The devices that `ifconfig` lists."""
    starts = [found.start() for found in _DEVICE.finditer(text)]
    for begin, end in zip(starts, [*starts[1:], len(text)], strict=True):
        block = text[begin:end]
        name = block.partition(":")[0]
        described = re.search(r"^\tdescription: (.*) \((\S+)\)$", block, re.MULTILINE)
        vlan = re.search(r"vlan: (\d+) .*parent interface: (\S+)", block)
        ether = re.search(r"^\tether (\S+)", block, re.MULTILINE)
        mtu = re.search(r" mtu (\d+)", block)
        media = re.search(r"^\tmedia: .*\((\S+) <", block, re.MULTILINE)
        status = re.search(r"^\tstatus: (.+)$", block, re.MULTILINE)
        link = Link(
            name,
            ether[1] if ether else "",
            segments.get(vlan[2] if vlan else name, vlan[2] if vlan else name),
            vlan[2] if vlan else "",
            int(vlan[1]) if vlan else None,
            identifier=described[2] if described else "",
            description=described[1] if described else "",
            mtu=int(mtu[1]) if mtu else 1500,
            up="<UP," in block.partition("\n")[0],
            media=media[1] if media else "",
            active=status[1] == "active" if status else None,
        )
        for address, mask in re.findall(r"^\tinet (\S+) netmask 0x([0-9a-f]{8})", block, re.M):
            link.addresses.append(f"{address}/{int(mask, 16).bit_count()}")
        for address, bits in re.findall(r"^\tinet6 (\S+) prefixlen (\d+)", block, re.M):
            if "%" not in address:
                link.addresses.append(f"{address}/{bits}")
        yield link


# --------------------------------------------------------------------------------- files


def _loader(ask: Ask, host: str, config: ET.Element, told: Mapping[str, dict[str, Any]]) -> Loader:
    """Asks a real box for files, in FreeBSD's words. What its configuration holds, and copies of
    it, and what was made of it with the secrets in it, is not read: of such a file no more is known
    than that it is there, and a copy is taken for what is written now, by whom its revision says.
    """

    def load(paths: Sequence[str]) -> dict[str, Entry | FileError]:
        wanted = [path for path in paths if not path.startswith(_NEVER)]
        found: dict[str, Entry | FileError] = {}
        if not wanted:
            return found
        shown = ask(host, ("env", "LC_ALL=C", "stat", "-f", _FORM, "--", *wanted))
        if shown is None:
            return {path: FileError(NOT_ASKED) for path in wanted}
        for line in shown[1].splitlines():
            record = _RECORD.fullmatch(line)
            if record is None or record[5] not in wanted:
                continue
            raw, user, group, size, path = record.groups()
            kind = KINDS.get(stat.S_IFMT(int(raw, 8)))
            if kind is not None:
                mode = stat.S_IMODE(int(raw, 8))
                entry = Entry(kind, mode=mode, user=user, group=group, size_bytes=int(size))
                if kind == "file" and path.startswith("/conf/"):
                    row = told.get(path)
                    entry.data = _revised(config, row) if row else ET.tostring(config)
                    entry.mtime_s = float(row["written"]) if row else 0.0
                    found[path] = entry
                else:
                    found[path] = filled(entry, ask, host, path, digest=("sha256", "-q"))
        absent = set(re.findall(rf"^stat: (.*): stat: {NOTHING}$", shown[2], re.MULTILINE))
        for path in wanted:
            if path not in found and path not in absent:
                found[path] = FileError(f"{NOT_ASKED}: {shown[2].strip()[:200]}")
        return found

    return load
