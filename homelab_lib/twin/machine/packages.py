"""Packages of the distribution."""

from fnmatch import fnmatch

from homelab_lib.twin.machine import samba
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands

packages = Commands()

REPOSITORY = {
    "qemu-guest-agent": "1:9.2.1+ds-1",
    "nfs-common": "1:2.8.3-1",
    "nfs-kernel-server": "1:2.8.3-1",
    "curl": "8.14.1-2",
    "wget": "1.25.0-2",
    "ca-certificates": "20250419",
    "git": "1:2.47.3-0+deb13u1",
    "htop": "3.4.1-5",
    "open-iscsi": "2.1.11-1",
    "dmidecode": "3.6-2",
    "iperf3": "3.18-2",
    "jq": "1.7.1-6",
    "prometheus-node-exporter": "1.9.0-1+b4",
    "pciutils": "1:3.13.0-2",
    "wireguard-tools": "1.0.20210914-3",
    "tmux": "3.5a-3",
    "chrony": "4.6.1-3",
    "ethtool": "1:6.14.2-1",
    "dkms": "3.2.2-1",
    "etcd-client": "3.5.16-4",
    "samba": "2:4.22.4+dfsg-1~deb13u1",
    "smbclient": "2:4.22.4+dfsg-1~deb13u1",
    "restic": "0.18.0-1+b4",
    "haproxy": "3.0.11-1",
    "libgomp1": "14.2.0-19",
    "libvulkan1": "1.4.309.0-1",
    "mesa-vulkan-drivers": "25.0.7-2",
    "libnvidia-gl-580-server": "580.95.05-0ubuntu0.24.04.1",
    "zstd": "1.5.7+dfsg-1",
    "libxml2-utils": "2.12.7+dfsg+really2.9.14-2.1",
    "linux-generic": "6.8.0-88.88",
    "linux-image-amd64": "6.12.57-1",
    "firmware-amd-graphics": "20250410-2",
    "linux-modules-nvidia-580-server-open-generic": "6.8.0-88.88+1",
    "nvidia-headless-no-dkms-580-server-open": "580.95.05-0ubuntu0.24.04.1",
    "nvidia-utils-580-server": "580.95.05-0ubuntu0.24.04.1",
    "libnvidia-compute-580-server": "580.95.05-0ubuntu0.24.04.1",
}
"""What the distribution's archive holds, as far as anybody here asks for it."""
_BRINGS = {
    "proxmox-kernel-6.14": "proxmox-kernel-6.14.11-4-pve-signed",
    "proxmox-kernel-6.17": "proxmox-kernel-6.17.4-2-pve-signed",
    "linux-generic": "linux-image-6.8.0-88-generic",
    "linux-modules-nvidia-580-server-open-generic": "linux-image-6.8.0-88-generic",
    "linux-image-amd64": "linux-image-6.12.57+deb13-amd64",
    "nvidia-headless-no-dkms-580-server-open": "libnvidia-compute-580-server",
}
"""Packages that name another one: the newest kernel of a series, a library."""


_FILES = {samba.PACKAGE: {samba.MAIN: samba.DEBIANS}}
"""Settings that packages bring along, where there are none."""
ELSEWHERE = {
    "tailscale": ("pkgs.tailscale.com", "1.90.6"),
    "cloudflared": ("pkg.cloudflare.com", "2025.11.1"),
    "nvidia-container-toolkit": ("nvidia.github.io/libnvidia-container", "1.18.0-1"),
}
"""Packages that others publish: the host in whose source they are, and their version."""
_SOURCES = "/etc/apt/sources.list.d"


@packages("dpkg-query")
def dpkg_query(machine: Machine, call: Call) -> Reply:
    """Installed packages, by ``-f`` format."""
    names, options = operands(call, "-f --showformat")
    form = options.get("-f") or options.get("--showformat") or "${Package}\t${Version}\n"
    out, err = "", ""
    for name in _fitting(names, machine) if names else sorted(machine.packages):
        if name not in machine.packages:
            err += f"dpkg-query: no packages found matching {name}\n"
            continue
        line = form.replace("\\n", "\n").replace("\\t", "\t")
        for key, value in (
            ("${Package}", name),
            ("${binary:Package}", name),
            ("${Version}", machine.packages[name]),
            ("${Status}", "install ok installed"),
            ("${db:Status-Status}", "installed"),
            ("${db:Status-Want}", "hold" if name in _held(machine) else "install"),
        ):
            line = line.replace(key, value)
        out += line
    return Reply(1 if err else 0, out, err)


def _held(machine: Machine) -> list[str]:
    """The packages that are held; of a seeded machine, those that the real one says."""
    if "held" in machine.kept:
        found: list[str] = machine.kept["held"]
        return found
    said = machine.said("apt-mark", "showhold")
    return said.out.decode().split() if said and not said.status else []


def _fitting(names: list[str], machine: Machine) -> list[str]:
    """Installed packages by patterns as a shell has them; one that fits none stays as it is."""
    found: list[str] = []
    for name in names:
        fits = [each for each in sorted(machine.packages) if fnmatch(each, name)]
        found += fits or [name]
    return found


@packages("apt-mark")
def apt_mark(machine: Machine, call: Call) -> Reply:
    """Packages that no upgrade touches."""
    words, _ = operands(call)
    verb, names = (words[0] if words else ""), words[1:]
    held = _held(machine)
    if verb == "showhold":
        return Reply(0, "".join(f"{name}\n" for name in sorted(held)))
    if verb not in ("hold", "unhold"):
        return Reply(1, stderr=f"E: Invalid operation {verb}\n")
    if call.user != "root":
        return Reply(100, stderr="E: Could not create temporary file for /var/lib/dpkg/status\n")
    unknown = [name for name in names if name not in machine.packages]
    if unknown:
        return Reply(100, stderr=f"E: Unable to locate package {unknown[0]}\n")
    machine.kept["held"] = held
    said = ""
    for name in names:
        if (verb == "hold") == (name in held):
            said += f"{name} was already {'set on hold' if verb == 'hold' else 'not on hold'}.\n"
        elif verb == "hold":
            held.append(name)
            said += f"{name} set on hold.\n"
        else:
            held.remove(name)
            said += f"Canceled hold on {name}.\n"
    return Reply(0, said)


@packages("apt-get", "apt")
def apt_get(machine: Machine, call: Call) -> Reply:
    """Install packages from the archive."""
    words, _ = operands(call, "-o")
    verb, names = words[0], words[1:]
    if call.user != "root":
        text = "E: Could not open lock file /var/lib/dpkg/lock-frontend - open "
        return Reply(100, stderr=f"{text}(13: Permission denied)\n")
    if verb in ("update", "install") and (why := machine.world.internet(machine)):
        return Reply(100, stderr=f"E: Failed to fetch http://deb.debian.org/debian  {why}\n")
    if verb == "update":
        machine.kept["apt"] = _sources(machine)
        return Reply(0, "Reading package lists...\n", takes_s=6)
    if verb not in ("install", "remove", "purge"):
        return Reply(100, stderr=f"E: Invalid operation {verb}\n")
    lists = machine.kept.get("apt", "")  # as they were when they were read last
    elsewhere = {name for name, (place, _) in ELSEWHERE.items() if place in lists}
    known = {*REPOSITORY, *machine.packages, *elsewhere}
    unknown = [name for name in names if name not in known and not machine.offers(name)]
    if unknown:
        lines = "".join(f"E: Unable to locate package {name}\n" for name in unknown)
        return Reply(100, stderr=lines)

    def done() -> Reply:
        for name in names:
            if verb == "install":
                install(machine, name)
            else:
                machine.packages.pop(name, None)
        return Reply(0, "".join(f"Setting up {name} ...\n" for name in names))

    return Reply(takes_s=4 + 3 * len(names), finish=done)


def _sources(machine: Machine) -> str:
    """What is written in its package sources."""
    paths = [path for path in machine.files.walk(_SOURCES) if path.endswith((".list", ".sources"))]
    return "".join(machine.files.text(path) for path in paths)


def install(machine: Machine, name: str) -> None:
    """Put a package in place, what it stands for, and the service that it brings; one by its file
    is called as that is."""
    if name.startswith("/"):
        name = name.rpartition("/")[2].partition("_")[0]
    _, version = ELSEWHERE.get(name, ("", REPOSITORY.get(name, "1.0")))
    machine.packages.setdefault(name, version)
    if name in _BRINGS:
        brought = _BRINGS[name]
        machine.packages.setdefault(brought, REPOSITORY.get(brought, "1.0"))
    for path, text in _FILES.get(name, {}).items():
        if not machine.files.exists(path):
            machine.files.put(path, text)
    for unit in machine.world.services.get(name, lambda machine: ())(machine):
        machine.units.setdefault(unit.name, unit)
