"""ifupdown2 as Proxmox has it: the file of the interfaces is the wish, the kernel's links are the
truth, and between the two stands what it remembers of the last time.

Sources: ifupdown2 3.0.0 run in network namespaces (tests/real does it again); Proxmox VE's
Administration Guide, "Network Configuration". What surprises there, surprises here:

- an address that is none is a warning and no failure: status 0, and the interface has no address;
- after that its memory can't be read: the next good reload fails, until `-u` leaves it alone;
- what is still in the file and is no more brought up by itself keeps its address and packet size;
- `-u` takes away nothing: a bridge that the file does not name any more stays;
- a key that it does not know is passed over, and a bridge without ports is called a mistake;
- `ifdown` of a bridge cuts off its guests, and `ifup` does not bring them back;
- Debian's own takes the guests' taps off their bridges at every reload.
"""

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import replace

from homelab_lib.twin.machine.addresses import ip as show_ip
from homelab_lib.twin.machine.interface import Interface
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands
from homelab_lib.twin.proxmox.interfaces import FILE, Interfaces, Stanza, parsed
from homelab_lib.twin.proxmox.nics import probe
from homelab_lib.twin.proxmox.node import ProxmoxNode

ifupdown2 = Commands()

_SMALLEST_MTU, _LARGEST_MTU, _USUAL_MTU = 552, 9216, 1500


# Programs ----------------------------------------------------------------------------------------


@ifupdown2("ifreload")
def ifreload(node: ProxmoxNode, call: Call) -> Reply:
    """Make the kernel's links what the file says."""
    _, given = operands(call, "-i --interfaces -X")
    if {"-V", "--version"} & given.keys():
        return Reply(0, f"ifupdown2:{node.ifupdown.version}\n")
    if {"-n", "--no-act"} & given.keys():
        return Reply(1, stderr="error: main exception: no-act is not supported here\n")
    file = parsed(node.files.text(FILE))
    if {"-s", "--syntax-check"} & given.keys():
        return _syntax(file)
    return _reload(node, file, forget=bool({"-u", "--use-current-config"} & given.keys()))


@ifupdown2("ifup")
def ifup(node: ProxmoxNode, call: Call) -> Reply:
    """Bring interfaces up, or with ``-s`` look whether a file could be used."""
    names, given = operands(call, "-i --interfaces -X")
    path = given.get("-i") or given.get("--interfaces") or FILE
    file = parsed(node.files.read(path).decode(errors="replace"))
    if {"-s", "--syntax-check"} & given.keys():
        return _syntax(file)
    names = file.auto if {"-a", "--all"} & given.keys() else names
    said = "".join(line for name in names for line in _brought_up(node, file, name))
    _settle(node)
    return Reply(1 if "error: " in said else 0, stderr=said)


@ifupdown2("ifdown")
def ifdown(node: ProxmoxNode, call: Call) -> Reply:
    """Take interfaces down: a bridge goes, and its guests' taps with it."""
    for name in operands(call)[0]:
        _taken_down(node, name)
        for vm in node.vms.values():
            for card in vm.guest.interfaces if vm.running and vm.guest else ():
                card.up = card.up and card.segment != name
    _settle(node)
    return Reply()


@ifupdown2("ifquery")
def ifquery(node: ProxmoxNode, call: Call) -> Reply:
    """With ``-c``, whether the kernel's links are as the file says."""
    _, given = operands(call)
    if not {"-c", "--check"} & given.keys():
        return Reply(127, stderr="twin: its ifquery knows -c alone\n")
    file = parsed(node.files.text(FILE))
    wrong = [name for name in file.auto if name != "lo" and not _as_said(node, file, name)]
    lines = "".join(f"auto {n}\niface {n} [{'fail' if n in wrong else 'pass'}]\n\n"
                    for n in file.auto if n != "lo")  # fmt: skip
    return Reply(1 if wrong else 0, lines)


@ifupdown2("ip")
def ip(node: ProxmoxNode, call: Call) -> Reply:
    """What changes links and addresses; what shows them is every machine's."""
    match [word for word in call.argv[1:] if word != "dev"]:
        case ["addr" | "address", "flush", name]:
            return _on(node, name, lambda link: setattr(link, "cidr", ""))
        case ["link", "set", name, "mtu", size] if size.isdigit():
            return _on(node, name, lambda link: _resize(node, link, int(size)))
        case ["link", "set", name, ("up" | "down") as word]:
            return _on(node, name, lambda link: setattr(link, "up", word == "up"))
        case ["link", "del" | "delete", name]:
            if _link(node, name) is not None:
                _taken_down(node, name)
                _settle(node)
                return Reply()
            return Reply(1, stderr=f'Cannot find device "{name}"\n')
    return show_ip(node, call)


def _resize(node: ProxmoxNode, link: Interface, size: int) -> None:
    """A bridge follows the smallest of its ports."""
    link.mtu = size
    for bridge in [each for each in node.interfaces if each.name == link.master]:
        bridge.mtu = min(each.mtu for each in node.interfaces if each.master == bridge.name)


def _on(node: ProxmoxNode, name: str, act: Callable[[Interface], object]) -> Reply:
    link = _link(node, name)
    if link is None:
        return Reply(1, stderr=f'Device "{name}" does not exist.\n')
    act(link)
    _settle(node)
    return Reply()


# What they do ------------------------------------------------------------------------------------


def reload(node: ProxmoxNode) -> Reply:
    """``ifreload -a``, for whoever applies a configuration."""
    return ifreload(node, Call(("ifreload", "-a")))


def starts_network(node: ProxmoxNode) -> None:
    """What comes of the file when the node boots: the cards that the kernel drives, brought up as
    the file says, and nothing that anybody remembers."""
    node.interfaces.clear()
    probe(node)
    node.ifupdown.saved, node.ifupdown.unreadable = [], ""
    _reload(node, parsed(node.files.text(FILE)), forget=True)


def _reload(node: ProxmoxNode, file: Interfaces, *, forget: bool) -> Reply:
    memory = node.ifupdown
    if memory.unreadable and not forget:
        said = f"error: '{memory.unreadable}' does not appear to be an IPv4 or IPv6 address\n"
        return Reply(1, stderr=said)
    memory.unreadable = ""
    for name in [] if forget else [name for name in memory.saved if name not in file.names]:
        _taken_down(node, name)
    said = "".join(line for name in file.auto for line in _brought_up(node, file, name))
    memory.saved = [name for name in file.auto if name != "lo"]
    if "pve" not in memory.version and "pmx" not in memory.version:
        _lose_taps(node)
    _settle(node)
    return Reply(1 if "error: " in said else 0, stderr=said)


def _syntax(file: Interfaces) -> Reply:
    said = "".join(
        f'warning: {stanza.name}: {key}: invalid value "{value}"\n'
        for stanza in file.stanzas
        for key, value in stanza.lines
        if not _sound(key.replace("_", "-"), value)
    )
    return Reply(1 if said else 0, stderr=said)


def _sound(key: str, value: str) -> bool:
    match key:
        case "address" | "gateway":
            return _is_address(value)
        case "mtu":
            return value.isdigit() and _SMALLEST_MTU <= int(value) <= _LARGEST_MTU
        case "bridge-ports":
            return value != "none"
        case "bridge-vlan-aware" | "bridge-stp":
            return value in ("yes", "no", "on", "off", "1", "0")
    return True


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return True


def _brought_up(node: ProxmoxNode, file: Interfaces, name: str) -> Iterator[str]:
    """Bring an interface up, and say what it complains of."""
    if name == "lo":
        return
    link = _link(node, name)
    if file.get(name, "bridge-ports"):
        link = link or _made(node, name, "bridge")
        yield from _with_ports(node, link, file, file.get(name, "bridge-ports").split())
        link.vlan_filtering = file.get(name, "bridge-vlan-aware") in ("yes", "on", "1")
    elif file.get(name, "bond-slaves"):
        link = link or _made(node, name, "bond")
        yield from _with_ports(node, link, file, file.get(name, "bond-slaves").split())
    elif link is None and "." in name:
        link = _made(node, name, "vlan")
    elif link is None:
        yield f"error: {name}: netlink: interface does not exist\n"
        return
    link.up = True
    size = file.get(name, "mtu")
    members = [each.mtu for each in node.interfaces if each.master == name]
    if size and _sound("mtu", size):
        link.mtu = int(size)
    else:
        link.mtu = (
            min(members, default=_USUAL_MTU) if link.kind in ("bridge", "bond") else _USUAL_MTU
        )
    stanzas = file.of(name)
    yield from _addressed(node, link, stanzas)
    gateway = file.get(name, "gateway")
    if gateway:  # as `ip route replace default` does: the last one is the way out
        for each in node.interfaces:
            each.gateway = ""
    link.gateway = gateway


def _addressed(node: ProxmoxNode, link: Interface, stanzas: list[Stanza]) -> Iterator[str]:
    if any(stanza.family == "inet" and stanza.method == "dhcp" for stanza in stanzas):
        return
    link.cidr = ""
    for stanza in sorted(stanzas, key=lambda each: each.family):  # it has one: of IPv4, if any
        whole = "32" if stanza.family == "inet" else "128"
        for address in stanza.all("address"):
            if _is_address(address):
                link.cidr = link.cidr or (address if "/" in address else f"{address}/{whole}")
                continue
            node.ifupdown.unreadable = address.partition("/")[0]
            yield (
                f"warning: {link.name}: convert string ip address into IPNetwork object: "
                f"'{node.ifupdown.unreadable}' does not appear to be an IPv4 or IPv6 address\n"
            )


def _with_ports(
    node: ProxmoxNode, bridge: Interface, file: Interfaces, wanted: list[str]
) -> Iterator[str]:
    """Have a bridge or a bond have these ports and no other."""
    for each in node.interfaces:
        if each.master == bridge.name and each.name not in wanted:
            each.master = ""
    for name in wanted if wanted != ["none"] else ():
        port = _link(node, name)
        if port is None:
            yield f"error: {bridge.name}: bridge port {name} does not exist\n"
            continue
        if port.master != bridge.name and not file.get(name, "mtu"):
            port.mtu = _USUAL_MTU  # what it had by itself, it does not keep as a port
        port.master, port.cidr, port.up = bridge.name, "", True
        bridge.mac = port.mac if not bridge.mac else bridge.mac


def _made(node: ProxmoxNode, name: str, kind: str) -> Interface:
    base, _, tag = name.partition(".")
    below = _link(node, base)
    made = Interface(name, below.mac if below else "", "", node.name, base, kind=kind)
    made = replace(made, tag=int(tag)) if kind == "vlan" and tag.isdigit() else made
    node.interfaces.append(made)
    return made


def _taken_down(node: ProxmoxNode, name: str) -> None:
    link = _link(node, name)
    if link is None:
        return
    if link.kind:
        node.interfaces.remove(link)
        for each in node.interfaces:
            each.master = "" if each.master == name else each.master
    else:
        link.cidr, link.gateway, link.mtu, link.up = "", "", _USUAL_MTU, False


def _lose_taps(node: ProxmoxNode) -> None:
    for vm in node.vms.values():
        for card in vm.guest.interfaces if vm.running and vm.guest else ():
            card.up = False


def _link(node: ProxmoxNode, name: str) -> Interface | None:
    return next((each for each in node.interfaces if each.name == name), None)


def _settle(node: ProxmoxNode) -> None:
    """An interface of a bridge is on the wires of its ports; without these it has none."""
    for each in node.interfaces:
        if each.gateway and not (each.cidr and each.up):
            each.gateway = ""
    node.reach.changed()


def _as_said(node: ProxmoxNode, file: Interfaces, name: str) -> bool:
    link = _link(node, name)
    if link is None or not link.up:
        return False
    ports = {each.name for each in node.interfaces if each.master == name}
    wanted = set(file.get(name, "bridge-ports").split()) - {"none"}
    address, size = file.get(name, "address"), file.get(name, "mtu")
    return link.cidr == address and ports == wanted and size in ("", str(link.mtu))
