"""Programs about the processors: how many, and which."""

import json

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, fails
from homelab_lib.twin.machine.usage import Misused, Usage

processors = Commands()

_LSCPU = Usage("J,json B,bytes a,all x,hex")
_FLAGS = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr "
_FLAGS += "sse sse2 ht syscall nx rdtscp lm constant_tsc nopl cpuid pni pclmulqdq ssse3 fma cx16 "
_FLAGS += "sse4_1 sse4_2 movbe popcnt aes xsave avx f16c rdrand lahf_lm bmi1 avx2 smep bmi2"


@processors("nproc")
def nproc(machine: Machine, call: Call) -> Reply:
    """How many threads the processors have."""
    given = Usage("all ignore:", most=0).of(call)
    return Reply(0, f"{max(machine.threads - int(given.get('ignore') or 0), 1)}\n")


@processors("lscpu")
def lscpu(machine: Machine, call: Call) -> Reply:
    """What the processors are; of a seeded machine, in the real one's own words."""
    given = _LSCPU.of(call)
    if given.words:
        return fails(call, f"bad usage\nTry '{call.argv[0]} --help' for more information.")
    rows = _rows(machine)
    if "J" in given:
        return Reply(0, json.dumps({"lscpu": rows}, indent=3) + "\n")
    width = max(len(row["field"]) for row in rows) + 1
    return Reply(0, "".join(f"{row['field']:<{width}}{row['data']}\n" for row in rows))


def _is_row(row: object) -> bool:
    return isinstance(row, dict) and {"field", "data"} <= row.keys()


def _rows(machine: Machine) -> list[dict[str, str]]:
    told = machine.told("lscpu", "-J")
    if told is not None:
        rows = told.get("lscpu") if isinstance(told, dict) else None
        if not isinstance(rows, list) or not all(_is_row(row) for row in rows):
            raise Misused(Reply(1, stderr="lscpu: the real host answers in another form\n"))
        return rows
    amd = "AMD" in machine.cpu_model.upper()
    per_core = 2 if machine.threads % 2 == 0 else 1
    facts = {
        "Architecture": "x86_64",
        "CPU op-mode(s)": "32-bit, 64-bit",
        "Address sizes": "48 bits physical, 48 bits virtual",
        "Byte Order": "Little Endian",
        "CPU(s)": str(machine.threads),
        "On-line CPU(s) list": f"0-{machine.threads - 1}" if machine.threads > 1 else "0",
        "Vendor ID": "AuthenticAMD" if amd else "GenuineIntel",
        "Model name": machine.cpu_model,
        "Thread(s) per core": str(per_core),
        "Core(s) per socket": str(machine.threads // per_core),
        "Socket(s)": "1",
        "Flags": _FLAGS,
        "NUMA node(s)": "1",
        "NUMA node0 CPU(s)": f"0-{machine.threads - 1}" if machine.threads > 1 else "0",
    }
    return [{"field": f"{name}:", "data": value} for name, value in facts.items()]
