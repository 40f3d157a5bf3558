"""A VM's processor: its models and flags.

Source: `PVE::QemuServer::CPUConfig` and `CPUFlags` (qemu-server 9.2).
"""

from collections.abc import Mapping

from homelab_lib.twin.proxmox.formats import BOOLEAN, TEXT
from homelab_lib.twin.proxmox.schema import Format, Property, Schema, matches

_MODELS = """
486 pentium pentium2 pentium3 coreduo core2duo Conroe Penryn Nehalem Nehalem-IBRS Westmere
Westmere-IBRS SandyBridge SandyBridge-IBRS IvyBridge IvyBridge-IBRS Haswell Haswell-IBRS
Haswell-noTSX Haswell-noTSX-IBRS Broadwell Broadwell-IBRS Broadwell-noTSX Broadwell-noTSX-IBRS
Skylake-Client Skylake-Client-IBRS Skylake-Client-noTSX-IBRS Skylake-Client-v4 Skylake-Server
Skylake-Server-IBRS Skylake-Server-noTSX-IBRS Skylake-Server-v4 Skylake-Server-v5
Cascadelake-Server Cascadelake-Server-v2 Cascadelake-Server-noTSX Cascadelake-Server-v4
Cascadelake-Server-v5 Cooperlake Cooperlake-v2 KnightsMill Icelake-Client Icelake-Client-noTSX
Icelake-Server Icelake-Server-noTSX Icelake-Server-v3 Icelake-Server-v4 Icelake-Server-v5
Icelake-Server-v6 Icelake-Server-v7 SapphireRapids SapphireRapids-v2 SapphireRapids-v3
SapphireRapids-v4 GraniteRapids GraniteRapids-v2 GraniteRapids-v3 SierraForest SierraForest-v2
SierraForest-v3 ClearwaterForest athlon phenom Opteron_G1 Opteron_G2 Opteron_G3 Opteron_G4
Opteron_G5 EPYC EPYC-IBPB EPYC-v3 EPYC-v4 EPYC-v5 EPYC-Rome EPYC-Rome-v2 EPYC-Rome-v3 EPYC-Rome-v4
EPYC-Rome-v5 EPYC-Milan EPYC-Milan-v2 EPYC-Milan-v3 EPYC-Genoa EPYC-Genoa-v2 EPYC-Turin kvm32 kvm64
qemu32 qemu64 max a64fx cortex-a35 cortex-a53 cortex-a55 cortex-a57 cortex-a710 cortex-a72
cortex-a76 neoverse-n1 neoverse-n2 neoverse-v1 host x86-64-v2 x86-64-v2-AES x86-64-v3 x86-64-v4
"""
_KNOWN = frozenset(_MODELS.split())
_FLAGS = (
    *("aes", "amd-no-ssb", "amd-ssbd", "hv-evmcs", "hv-tlbflush", "ibpb", "md-clear"),
    *("nested-virt", "pcid", "pdpe1gb", "spec-ctrl", "ssbd", "virt-ssbd"),
)
_ANY_FLAG = r"([+-])([a-zA-Z0-9\-_\.]+)"


def _physical_bits(value: str) -> None:
    number = value.removesuffix("\n")
    if number != "host" and not (matches("[0-9]{1,2}", number) and 8 <= int(number) <= 64):
        raise ValueError("value must be an integer between 8 and 64 or 'host'")


def _of_a_vm(keys: Mapping[str, str]) -> None:
    model = keys.get("cputype", "")
    if not model:
        raise ValueError("CPU is missing cputype")
    if model.startswith("custom-"):  # nobody has described any
        raise ValueError(f"Custom cputype '{model.removeprefix('custom-')}' not found")
    if model not in _KNOWN:
        raise ValueError(f"Built-in cputype '{model}' is not defined (missing 'custom-' prefix?)")
    flags = keys.get("flags", "").split(";")
    if flags != [""] and any(flag[1:] not in _FLAGS for flag in flags):
        raise ValueError(f"VM-specific CPU flags must be a subset of: {', '.join(_FLAGS)}")
    if "reported-model" in keys:
        raise ValueError("Property 'reported-model' not allowed in VM-specific CPU config.")


_KEYS: Schema = {
    "cputype": Property(bare=True),
    "reported-model": TEXT,
    "hidden": BOOLEAN,
    "hv-vendor-id": Property(pattern="[a-zA-Z0-9]{1,12}"),
    "flags": Property(pattern=f"{_ANY_FLAG}(;{_ANY_FLAG})*"),
    "guest-phys-bits": Property("integer", minimum=32, maximum=64),
    "phys-bits": Property(format=Format("pve-phys-bits", _physical_bits)),
    "level": Property("integer", minimum=0, maximum=4294967295),
}

CPU = Property(format=Format("pve-vm-cpu-conf", _of_a_vm, _KEYS))
