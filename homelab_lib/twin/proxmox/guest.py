"""A virtual machine from the inside: it boots a cloud image, and cloud-init makes it what it is."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import unquote

import yaml

from homelab_lib.lab.guests import Image, Vm
from homelab_lib.twin.machine.columns import Row
from homelab_lib.twin.machine.devices import device, letters, root_disk
from homelab_lib.twin.machine.entry import Facts
from homelab_lib.twin.machine.interface import Interface
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.packages import REPOSITORY, install
from homelab_lib.twin.machine.surroundings import Surroundings
from homelab_lib.twin.machine.unit import Unit
from homelab_lib.twin.machine.unix import UNIX
from homelab_lib.twin.proxmox.devices import split_net
from homelab_lib.twin.proxmox.leases import lease
from homelab_lib.twin.proxmox.schema import split_properties
from homelab_lib.twin.proxmox.storage import parse_size
from homelab_lib.yaml_safe import Loader

_MODELS = {"sd": "QEMU HARDDISK", "vd": None}  # a virtio disk names none
_CLOUD_INIT_S = 15.0
_PACKAGE_S = 6.0


class Configured(Protocol):
    """What a guest needs of its VM."""

    config: dict[str, str]


class Hypervisor(Protocol):
    """What a guest needs of the node it runs on."""

    name: str
    world: Surroundings

    @property
    def vms(self) -> Mapping[int, Configured]: ...
    def bootable(self, vmid: int) -> bool: ...
    def image_of(self, vmid: int) -> Image | None: ...
    def instance_id(self, vmid: int) -> str: ...
    def volume_text(self, volid: str) -> str: ...


class Guest(Machine):
    """A VM's operating system.

    Parameters
    ----------
    node
        The Proxmox host it runs on.
    vmid
        Its number there.
    """

    def __init__(self, node: Hypervisor, vmid: int) -> None:
        config = node.vms[vmid].config
        name = config.get("name", f"vm{vmid}")
        super().__init__(
            name,
            node.world,
            user=config.get("ciuser", "ubuntu"),
            commands=(*UNIX, *node.world.programs),
        )
        self.node = node
        self.vmid = vmid
        self.up = False
        self.cloud_init: tuple[str, list[str]] = ("not started", [])
        self.instance = ""
        self.vouched = False  # somebody else has set it up, and lets us in
        self.by_hand = False  # from its ISO image, and gave it the addresses of the lab
        self.agent_slow = False  # it answers commands with a number to ask again with
        self.answers: list[dict[str, Any]] = []
        self.system: Machine | None = None  # of an appliance, where that is installed in it
        self.along: list[Row] = []  # disks behind devices that are passed through to it
        self.files.mkdir("/etc")
        self.files.mkdir("/run")
        self.files.mkdir("/var/lib", parents=True)
        self.files.mkdir("/usr/local/bin", parents=True)
        self.sysctl = {"net.ipv4.ip_forward": "0", "fs.inotify.max_user_instances": "128"}
        self.sees()

    @property
    def config(self) -> dict[str, str]:
        return self.node.vms[self.vmid].config

    @property
    def described(self) -> Vm | None:
        """The VM of the lab that it is, by its number and its name; None for none."""
        vm = self.world.lab.vms.get(self.name)
        here = vm is not None and (vm.host, vm.vmid) == (self.node.name, self.vmid)
        return vm if here else None

    @property
    def has_installer(self) -> bool:
        """Whether the image that the lab has it installed from is in one of its drives."""
        image = self.world.lab.images.get((self.described and self.described.image) or "")
        if image is None or image.kind != "iso":
            return False
        return any(f":iso/{image.filename}" in value for value in self.config.values())

    @property
    def inside(self) -> Machine:
        """What answers from within: an appliance's own system, or this one."""
        return self.system or self

    def lets_in(self) -> set[str] | None:
        """The public keys that may log in; None: those that hosts let in."""
        if self.vouched:
            return None
        text = self.files.text(f"{self.home}/.ssh/authorized_keys")
        return {line for line in text.splitlines() if line.strip()}

    def sees(self) -> None:
        """Take over what the VM's configuration gives it: cores, memory, disks, network devices."""
        self.threads = int(self.config.get("cores", 1)) * int(self.config.get("sockets", 1))
        memory = split_properties(self.config.get("memory", "512"), "current")
        self.memory_bytes = int(memory["current"]) * 2**20
        self.interfaces = [
            self._interface(key) for key in sorted(self.config) if re.fullmatch(r"net\d+", key)
        ]
        self.blocks = [*self._disks(), *self._along()]
        if self.system is not None:
            self.system.threads, self.system.memory_bytes = self.threads, self.memory_bytes

    def gets(self, disks: list[Row]) -> None:
        """It starts, and these disks come with what is passed through to it."""
        self.along = disks
        self.sees()
        if self.system is not None:
            self.system.plugged(self.blocks)

    def _along(self) -> Iterator[Row]:
        """The disks behind its devices: those of controllers come after its own, in letters."""
        own = sum(row["name"].startswith("sd") for row in self._disks())
        drives = 0
        for row in self.along:
            if row["tran"] == "nvme":
                name, drives = f"nvme{drives}n1", drives + 1
            else:
                name, own = f"sd{letters(own)}", own + 1
            yield row | {"name": name, "kname": name, "path": f"/dev/{name}"}

    def _disks(self) -> Iterator[Row]:
        """Its disks, as Linux finds them; the system is on the first."""
        kinds = {"scsi": "sd", "sata": "sd", "virtio": "vd"}
        counts: Counter[str] = Counter()
        for key in sorted(self.config):
            bus = key.rstrip("0123456789")
            facts = split_properties(self.config[key], "volume")
            if bus not in kinds or bus == key or "media" in facts or "size" not in facts:
                continue
            name = f"{kinds[bus]}{letters(counts[kinds[bus]])}"
            counts[kinds[bus]] += 1
            made_of = device if counts.total() > 1 else root_disk
            serial = facts.get("serial") or (f"drive-{key}" if bus == "scsi" else None)
            seen = {"model": _MODELS[kinds[bus]], "serial": serial}
            yield made_of(name, parse_size(facts["size"]), **seen)

    def _interface(self, key: str) -> Interface:
        net = split_net(self.config[key])
        number = key.removeprefix("net")
        ip = split_properties(self.config.get(f"ipconfig{number}", ""))
        by_address = self._named_by_address() and not self.by_hand
        if not by_address:
            ip = {}  # what cloud-init was told is about eth0, and there is none
        if self.by_hand:
            ip = self._given(key)
        if ip.get("ip") == "dhcp":
            address, gateway = lease(self.world, self.node.name, self.name, net)
            ip = {"ip": address, "gw": gateway}
        return Interface(
            name=f"eth{number}" if by_address else self.kernel_name(int(number)),
            mac=net["macaddr"].lower(),
            cidr=ip.get("ip", ip.get("ip6", "")) if self.instance else "",
            host=self.node.name,
            segment=net.get("bridge", ""),
            tag=int(net["tag"]) if "tag" in net else None,
            gateway=ip.get("gw", ip.get("gw6", "")) if self.instance else "",
        )

    def _given(self, card: str) -> dict[str, str]:
        """What the lab says of a card's address."""
        vm = self.described
        if vm is None or (card != "net0" and card not in vm.nics):
            return {}
        if card != "net0":
            return {"ip": vm.nics[card].address or ""}
        return {"ip": vm.address, "gw": vm.gateway or ""}

    def _named_by_address(self) -> bool:
        """Whether cloud-init finds network cards by their addresses and names them: of its forms
        only nocloud does, which Proxmox takes for everything but Windows."""
        windows = re.fullmatch(r"w(in|2k|xp|vista).*", self.config.get("ostype", "other"))
        return self.config.get("citype", "configdrive2" if windows else "nocloud") == "nocloud"

    def kernel_name(self, number: int) -> str:
        """After the slot that the card is in, which another chipset or card may move."""
        if "q35" not in self.config.get("machine", "pc"):
            return f"ens{18 + number}"
        cards = sum(key.startswith("hostpci") for key in self.config)
        return f"enp{6 + cards}s{18 + number}"

    def agent_runs(self) -> bool:
        """Whether the guest agent answers."""
        if self.system is not None:
            return self.system.up and self.system.brings_agent
        unit = self.units.get("qemu-guest-agent")
        return self.up and unit is not None and unit.active == "active"

    # -------------------------------------------------------------------- boot

    def install_by_hand(self, vm: Vm) -> None:
        """A person installs a Linux at the console, as the lab has it, and the guest agent."""
        self.user, self.by_hand, self.vouched = vm.user, True, True
        install(self, "qemu-guest-agent")
        self.units["qemu-guest-agent"] = Unit("qemu-guest-agent", enabled=True)

    def set_up(self) -> None:
        """Somebody else has installed it, and it runs."""
        self.instance = self.node.instance_id(self.vmid)
        self._become_new()
        self.sees()
        self.up = self.vouched = True
        self.boots = 1
        self.cloud_init = ("done", [])

    def run_unseen(self) -> None:
        """It runs, and nobody could look inside: its node sees it run, and it lets nobody in."""
        self.set_up()
        self.closed = True
        self.units["qemu-guest-agent"] = Unit("qemu-guest-agent", enabled=True, active="active")

    def power_on(self) -> None:
        if self.system is None:
            super().power_on()
        elif self.node.bootable(self.vmid):
            self.system.power_on()

    def power_off(self) -> None:
        if self.system is None:
            super().power_off()
        else:
            self.system.boots += 1
            self.system.power_off()

    def _booted(self, boots: int) -> None:
        if boots != self.boots or self.up:
            return
        if not self.node.bootable(self.vmid):
            return  # it hangs in the firmware
        instance = self.node.instance_id(self.vmid)
        fresh = instance != self.instance
        self.instance = instance
        if fresh:
            self._become_new()
        self.sees()
        super()._booted(boots)
        if fresh:
            self.cloud_init = ("running", [])
            self.world.after(_CLOUD_INIT_S, lambda: self._packages(boots), label="cloud-init")

    def _become_new(self) -> None:
        """What cloud-init does on the first boot of an instance: user, keys, host keys, name."""
        image, word = self.node.image_of(self.vmid), self.os_release[0]
        if image is not None:
            number = re.search(r"\d+(\.\d+)?", image.release)
            word = image.release.split()[0].lower()
            self.os_release = (word, number[0] if number else "", image.release)
            self.kernel = "6.8.0-85-generic" if word == "ubuntu" else "6.12.48+deb13-cloud-amd64"
        self.user = self.config.get("ciuser", self.user)
        # Of Debian's archive curl is optional, wget standard; Ubuntu's images have both.
        for package in ("wget", "curl", "pciutils") if word == "ubuntu" else ("wget",):
            install(self, package)
        self.accounts.add(self.user)
        self.files.make_folder("/tmp", mode=0o1777)
        self.make_home("root")
        self.make_home(self.user, 0o750 if self.os_release[0] == "ubuntu" else 0o700)
        keys = unquote(self.config.get("sshkeys", "")).strip() + "\n"
        owners: Facts = {"user": self.user, "group": self.accounts.group_of(self.user)}
        self.files.make_folder(f"{self.home}/.ssh", mode=0o700, **owners)
        self.files.put(f"{self.home}/.ssh/authorized_keys", keys, mode=0o600, **owners)
        self.host_key = self._key(f"host-key {self.instance}")
        identifier, version, pretty = self.os_release
        self.files.put("/etc/ssh/ssh_host_ed25519_key.pub", f"{self.host_key_public}\n")
        self.files.put("/etc/hostname", f"{self.name}\n")
        self.files.put("/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n")
        self.files.put(
            "/etc/os-release",
            f'PRETTY_NAME="{pretty}"\nID={identifier}\nVERSION_ID="{version}"\n',
        )

    def _packages(self, boots: int) -> None:
        """Packages and commands of the vendor's part."""
        if boots != self.boots or not self.up:
            return
        wanted, errors = self._vendor_data()
        packages = [str(name) for name in wanted.get("packages") or ()]
        if packages and (why := self.world.internet(self)):
            errors = [*errors, f"Failed to install packages: {why}"]
            packages = []
        unknown = [name for name in packages if name not in REPOSITORY]
        errors += [f"Unable to locate package {name}" for name in unknown]

        def done() -> None:
            if boots != self.boots or not self.up:
                return
            for name in packages if not unknown else ():
                install(self, name)
                if name == "qemu-guest-agent":
                    self.units[name] = Unit(name, enabled=True)
            for line in wanted.get("runcmd") or ():
                command = line if isinstance(line, str) else " ".join(map(str, line))
                reply = self.run(command.replace("[", "").replace("]", "").replace(",", ""))
                if reply.finished().status:
                    errors.append(f"runcmd: {command}")
            self.cloud_init = ("error" if errors else "done", list(errors))

        self.world.after(_PACKAGE_S * max(len(packages), 1), done, label="cloud-init packages")

    def _vendor_data(self) -> tuple[dict[str, Any], list[str]]:
        custom = split_properties(self.config.get("cicustom", ""))
        if "vendor" not in custom:
            return {}, []
        text = self.node.volume_text(custom["vendor"])
        try:
            document = yaml.load(text, Loader)
        except yaml.YAMLError as error:
            return {}, [f"Failed loading yaml blob. {error}"]
        if not text.startswith("#cloud-config") or not isinstance(document, dict):
            return {}, ["Unhandled non-multipart (text/x-not-multipart) userdata"]
        return document, []
