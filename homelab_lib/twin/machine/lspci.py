"""`lspci`: the cards on the bus, with their links and windows.

Sources: lspci(8), pciutils 3.9; outputs of Arc, Radeon and GeForce cards in issue trackers.
"""

from collections.abc import Iterator

from homelab_lib.twin.machine.bus import Function, has_switch
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands

lspci_programs = Commands()

_NO_PROGRAM = 127
_CLASSES = {
    "0300": "VGA compatible controller",
    "0107": "Serial Attached SCSI controller",
    "0108": "Non-Volatile memory controller",
    "0200": "Ethernet controller",
    "0403": "Audio device",
    "0b40": "Co-processor",
}
_ROOT = "0000:00:00.0 Host bridge [0600]: Device [1022:14d8]\n"
_DENIED = "\tCapabilities: <access denied>\n"
_SMALLEST = 28  # a window's sizes begin with 256 MiB: 2^28


@lspci_programs("lspci")
def lspci(machine: Machine, call: Call) -> Reply:
    """Cards; of a seeded machine, in the real one's own words."""
    words, options = operands(call, "-s -d")
    if words:
        return Reply(1, stderr="Usage: lspci [<switches>]\n")
    said = None if machine.bus_is_known else machine.said(*call.argv)
    # One that can't be asked before the program is installed is taken to be as described.
    if said is not None and said.status != _NO_PROGRAM:
        return said
    shown = {letter for option in options for letter in option.lstrip("-")}
    verbose = "v" in shown
    maker, _, device = options.get("-d", ":").partition(":")
    out = "" if "-d" in options or "-s" in options else _ROOT + ("\n" if "v" in shown else "")
    for each in machine.bus:
        own_maker, own_device = each.id.split(":")
        if (maker or own_maker, device or own_device) != (own_maker, own_device):
            continue
        if not each.slot.endswith(options.get("-s", "")):
            continue
        out += "".join(_blocks(each, verbose=verbose, root=call.user == "root", tree="k" in shown))
    return Reply(0, out)


def _blocks(each: Function, *, verbose: bool, root: bool, tree: bool) -> Iterator[str]:
    """A card: its own bridges, where it has a switch, and its chip behind them."""
    end = "\n" if verbose else ""
    link = _link(each.speed_gtps, each.lanes, each.could_gtps, each.could_lanes)
    if has_switch(each.id, each.class_code):
        bus, maker = int(each.slot[5:7], 16), each.id[:4]
        for kind, at, port in (("e2ff", bus - 2, "Upstream"), ("e2f0", bus - 1, "Downstream")):
            yield f"0000:{at:02x}:00.0 PCI bridge [0604]: Device [{maker}:{kind}]\n"
            if verbose:
                yield f"\tBus: primary={at:02x}, secondary={at + 1:02x}, subordinate={bus:02x}\n"
                slot = "" if port == "Upstream" else " (Slot-)"
                inside = _link(2.5, 1, 2.5, 1)
                told = f"\tCapabilities: [70] Express (v2) {port} Port{slot}, MSI 00\n"
                yield told + (link if port == "Upstream" else inside) if root else _DENIED
            yield end
        link = _link(2.5, 1, 2.5, 1)
    kind = _CLASSES[each.class_code]
    yield f"{each.slot} {kind} [{each.class_code}]: {each.title} [{each.id}] (rev 01)\n"
    if verbose:
        if each.window_bytes:
            size = _size(each.window_bytes)
            yield f"\tRegion 2: Memory at 6000000000 (64-bit, prefetchable) [size={size}]\n"
        told = f"\tCapabilities: [70] Express (v2) Endpoint, MSI 00\n{link}{_resizable(each)}"
        yield told if root else _DENIED
    if (verbose or tree) and each.driver:
        yield f"\tKernel driver in use: {each.driver}\n\tKernel modules: {each.driver}\n"
    yield end


def _link(speed: float, lanes: int, could_speed: float, could_lanes: int) -> str:
    less = [" (downgraded)" if now < could else "" for now, could in
            ((speed, could_speed), (lanes, could_lanes))]  # fmt: skip
    return (
        f"\t\tLnkCap:\tPort #0, Speed {could_speed:g}GT/s, Width x{could_lanes}, ASPM L1\n"
        f"\t\tLnkSta:\tSpeed {speed:g}GT/s{less[0]}, Width x{lanes}{less[1]}\n"
    )


def _resizable(each: Function) -> str:
    if not each.could_window_bytes:
        return ""
    most = each.could_window_bytes.bit_length()
    sizes = " ".join(f"{_size(1 << power)}B" for power in range(_SMALLEST, most))
    now = _size(each.window_bytes)
    told = f"\t\tBAR 2: current size: {now}B, supported: {sizes}\n"
    return f"\tCapabilities: [420 v1] Physical Resizable BAR\n{told}"


def _size(size_bytes: int) -> str:
    return f"{size_bytes >> 30}G" if size_bytes >= 2**30 else f"{size_bytes >> 20}M"
