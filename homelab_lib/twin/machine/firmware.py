"""`dmidecode`: what the firmware tells of the machine.

Source: dmidecode(8) 3.6; outputs of real machines.
"""

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.memory_module import Module
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands

firmware = Commands()

_HEAD = "# dmidecode 3.6\nGetting SMBIOS data from sysfs.\nSMBIOS 3.5.0 present.\n\n"
_NO_PROGRAM = 127


@firmware("dmidecode")
def dmidecode(machine: Machine, call: Call) -> Reply:
    """Memory modules, of a seeded machine in the real one's own words."""
    _, options = operands(call, "-t --type")
    kind = options.get("-t") or options.get("--type") or ""
    if kind not in ("memory", "17"):
        what = f"Invalid type keyword: {kind}\n" if not kind.isdecimal() else ""
        return Reply(2 if what else 0, _HEAD if not what else "", what)
    if call.user != "root":
        why = "/sys/firmware/dmi/tables/smbios_entry_point: Permission denied\n"
        return Reply(1, "# dmidecode 3.6\n", why + "/dev/mem: Permission denied\n")
    said = machine.said("dmidecode", "-t", kind)
    # One that can't be asked before the program is installed is taken to be as described.
    if said is not None and said.status != _NO_PROGRAM:
        return said
    array = f"""Handle 0x0010, DMI type 16, 23 bytes
Physical Memory Array
	Location: System Board Or Motherboard
	Use: System Memory
	Error Correction Type: None
	Maximum Capacity: 192 GB
	Error Information Handle: Not Provided
	Number Of Devices: {len(machine.modules_fitted)}

"""
    rows = "".join(_module(n, each) for n, each in enumerate(machine.modules_fitted))
    return Reply(0, f"{_HEAD}{array if kind == 'memory' else ''}{rows}")


def _module(number: int, module: Module) -> str:
    def speed(mtps: int) -> str:
        return f"{mtps} MT/s" if mtps else "Unknown"

    return f"""Handle {0x11 + number:#06x}, DMI type 17, 92 bytes
Memory Device
	Array Handle: 0x0010
	Error Information Handle: Not Provided
	Total Width: 64 bits
	Data Width: 64 bits
	Size: {module.size_bytes >> 30} GB
	Form Factor: {module.form}
	Set: None
	Locator: {module.place}
	Bank Locator: BANK {number}
	Type: {module.type}
	Type Detail: Synchronous
	Speed: {speed(module.rated_mtps)}
	Manufacturer: Unknown
	Serial Number: {number:08X}
	Asset Tag: Not Specified
	Part Number: Unknown
	Rank: 1
	Configured Memory Speed: {speed(module.speed_mtps)}
	Minimum Voltage: 1.1 V
	Maximum Voltage: 1.1 V
	Configured Voltage: 1.1 V

"""
