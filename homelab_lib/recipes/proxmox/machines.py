"""VMs on Proxmox: the image they start from, the machines themselves, the way in."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from homelab_lib import answers
from homelab_lib.answers import whole
from homelab_lib.control.linux import File, read_file
from homelab_lib.control.linux.cloud_init import FirstBoot, first_boot
from homelab_lib.control.proxmox.cards import cards_given, cards_seen
from homelab_lib.control.proxmox.existing import ExistingGuest
from homelab_lib.control.proxmox.guest import (
    GuestLeased,
    GuestReady,
    guest_addresses,
    guest_file,
    leased_addresses,
)
from homelab_lib.control.proxmox.needed import needs_usb
from homelab_lib.control.proxmox.storage import Image, StorageContent
from homelab_lib.errors import AuthenticationRefused, BadParameter, StepFailed, Unreachable
from homelab_lib.lab import Lab
from homelab_lib.lab.guests import Image as LabImage
from homelab_lib.lab.guests import Vm
from homelab_lib.recipes.proxmox import room, virtual_machine, whole_disks
from homelab_lib.recipes.proxmox.virtual_machine import by_cloud_init, files_on, keys_file, node
from homelab_lib.runbook.step import Check, Context, Manual, Measurement, Step, Wanted

HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"
_FIRST_BOOT_S = 600.0

# Cloud images come without an agent; it tells us the guest's address and its host key. The CSI
# driver brings its own mount tools; nfs-common is for a person who looks at a share by hand.
VENDOR = """#cloud-config
packages:
  - qemu-guest-agent
  - nfs-common
runcmd:
  - systemctl enable --now qemu-guest-agent
"""


def steps(
    lab: Lab, made: Sequence[Vm], there: Sequence[Vm], public_key_of: Callable[[str], str]
) -> Iterator[Step]:
    """How VMs are made, and how those are looked at that a phase stands on.

    Parameters
    ----------
    lab
        The lab.
    made, there
        VMs to make, and VMs that are there already.
    public_key_of
        Gives the public key by which a VM will be reached.

    Raises
    ------
    BadParameter
        One of them can't be made.
    """
    if not made and not there:
        return
    machines = Machines(lab, made, there, public_key_of)
    if made:
        yield Step(
            "room",
            "See that the VMs fit on their host",
            why="Before anything is made: does the Proxmox server have the memory, the threads and "
            "the disk for these machines, on top of what it runs already and keeps for itself?",
            check=machines.fit,
        )
        yield Step(
            "image",
            "Fetch what the VMs start from, and what they are made with",
            why="Proxmox downloads the images itself and checks each against the checksum in the "
            "lab. Beside them go the keys by which we come in, and a small file that has cloud-init"
            " install the guest agent.",
            needs=("room",),
            ensure=machines.image,
        )
    yield Step(
        "machines",
        "Make the VMs, and wait until they are reached" if made else "Look at the VMs",
        why="Each VM is made in one go, sized, started, and given time to set itself up. Its host "
        "key is read through the hypervisor and not over the network, so that it is known before "
        "the first connection."
        if made
        else "These machines are there already. They are looked at, and nothing of them is "
        "changed.",
        needs=("image",) if made else (),
        ensure=machines.machines,
        check=machines.reached,
        measure=machines.sizes,
    )
    for vm in machines.by_hand:
        yield Step(
            f"install-{vm.name}",
            f"Install the system of {vm.name} by hand",
            why=f"{vm.name} starts from an ISO image, and an installer asks questions that only a "
            "person answers. The step is done when the guest agent answers, or when you say so.",
            needs=("machines",),
            manual=Manual(
                f"open the console of VM {vm.vmid} ({vm.name}) in Proxmox, install "
                f"{lab.images[vm.image or ''].release}, " + _and_then(vm),
                verify=machines.agent_of(vm),
                or_confirmed=True,
            ),
        )


def _and_then(vm: Vm) -> str:
    """What else a person does in a system that they install."""
    if vm.os is None or vm.os.kind != "truenas":
        return "and the QEMU guest agent in it"
    address = "" if vm.ip is None else f", give it the address {vm.address}"
    return (
        f"take the disc out and restart it{address}; then, in its web page, give user {vm.user} "
        "your SSH key and sudo without a password (Credentials), start SSH with the system "
        f"(Services), and log in once by `ssh {vm.name}`. What lies on it comes in a later phase"
    )


class Machines:
    """The VMs of a phase; see `steps`."""

    def __init__(
        self,
        lab: Lab,
        made: Sequence[Vm],
        there: Sequence[Vm],
        public_key_of: Callable[[str], str],
    ) -> None:
        self.lab = lab
        self.made = made
        self.there = there
        self.public_key_of = public_key_of
        for vm in made:
            if lab.hosts[vm.host].ssh is None:
                raise BadParameter(
                    f"{vm.host} is to make VM {vm.name!r}, and has no SSH login",
                    where=f"hosts.{vm.host}.ssh",
                    fix="add one",
                )
            virtual_machine.refuse(lab, vm)
        self.ours = [vm for vm in made if by_cloud_init(lab, vm)]
        self.by_hand = [vm for vm in made if virtual_machine.image(lab, vm).kind == "iso"]

    def fit(self, ctx: Context) -> Iterator[Check]:
        """There is room for them, and nobody else uses the disks and USB devices that they get."""
        yield from room.checks(ctx, self.lab, self.made)
        for vm in self.made:
            yield from whole_disks.checks(ctx.host(vm.host), self.lab, vm)
        for name in sorted({vm.host for vm in self.made if vm.usb}):
            gets = [(vm, each) for vm in self.made if vm.host == name for each in vm.usb]
            kinds = [device for _, device in gets]
            lost = needs_usb(ctx.host(name), node(self.lab, name), kinds)
            for vm, device in gets:
                used = "; ".join(lost[device])
                title = f"{name} can do without USB device {device}, which {vm.name} gets"
                says = f"it would lose {used}" if used else "it uses none such"
                yield Check(title, not used, says)

    # ------------------------------------------------------------------- image

    def image(self, ctx: Context) -> Iterator[Wanted]:
        """The storages' content types, the images, cloud-init's vendor part, the login keys."""
        for name in sorted({vm.host for vm in self.made}):
            here = [vm for vm in self.made if vm.host == name]
            ours = [vm for vm in self.ours if vm.host == name]
            images = {image.name: image for vm in here for image in self._images(vm)}
            kinds = {("iso" if image.kind == "iso" else "import") for image in images.values()}
            yield from self._contents(name, [*sorted(kinds), *(["snippets"] if ours else [])])
            for image in images.values():
                content: Literal["import", "iso"] = "iso" if image.kind == "iso" else "import"
                store, folder = files_on(self.lab, name, content)
                yield Image(
                    name,
                    node(self.lab, name),
                    store,
                    folder,
                    image.filename,
                    "" if image.exists else image.url or "",
                    image.sha256 or "",
                    content=content,
                )
            if ours:
                _, folder = files_on(self.lab, name, "snippets")
                yield File(
                    name,
                    f"{folder}/snippets/{virtual_machine.SNIPPET}",
                    VENDOR,
                    what="cloud-init's vendor part",
                    lab=self.lab.name,
                )
            for vm in ours:
                yield File(
                    name,
                    keys_file(vm),
                    self.public_key_of(vm.name).strip() + "\n",
                    what=f"the key for {vm.name}",
                    lab=self.lab.name,
                )

    def _images(self, vm: Vm) -> list[LabImage]:
        discs = [self.lab.images[name] for name in vm.cdroms]
        return [virtual_machine.image(self.lab, vm), *discs]

    def _contents(self, host: str, kinds: Sequence[str]) -> Iterator[StorageContent]:
        stores: dict[str, list[str]] = {}
        for kind in kinds:
            stores.setdefault(files_on(self.lab, host, kind)[0], []).append(kind)
        for store, contents in stores.items():
            yield StorageContent(host, store, tuple(contents))

    # ---------------------------------------------------------------- machines

    def machines(self, ctx: Context) -> Iterator[Wanted]:
        """The VMs; then their agents; then, by these, the host keys that we shall trust."""
        driven = [vm for vm in self.there if self._driven(vm)]
        if driven:
            yield [
                ExistingGuest(vm.host, node(self.lab, vm.host), vm.vmid, vm.name) for vm in driven
            ]
        resources = {
            vm.name: virtual_machine.resource(
                self.lab,
                vm,
                self.public_key_of(vm.name) if vm in self.ours else "",
                whole_disks.of(ctx.host(vm.host), self.lab, vm),
            )
            for vm in self.made
        }
        if resources:
            yield list(resources.values())
        if self.ours:
            yield [self._agent(vm) for vm in self.ours]
        for vm in self.ours:
            host = ctx.host(vm.host)
            if vm.ip is None:
                ctx.locate(vm.name, self._leased(ctx, vm))
            key = guest_file(host, vm.vmid, HOST_KEY, ctx.looks).strip()
            if not key.startswith("ssh-ed25519 "):
                raise StepFailed(
                    f"{vm.name} has no ed25519 host key to show: {key[:60]!r}",
                    where=vm.host,
                    fix="look at sshd in the VM's console",
                )
            ctx.trust(vm.name, " ".join(key.split()[:2]), resources[vm.name])

    def _leased(self, ctx: Context, vm: Vm) -> str:
        """The address that DHCP has given a VM; which changes, so that it is asked each time."""
        found = leased_addresses(ctx.host(vm.host), node(self.lab, vm.host), vm.vmid)
        if not found:
            raise StepFailed(
                f"{vm.name} has lost the address that DHCP gave it",
                where=vm.host,
                fix="look at its network in the VM's console, then run the same command again",
            )
        return found[0]

    def _driven(self, vm: Vm) -> bool:
        """Whether its hypervisor can be asked about it."""
        host = self.lab.hosts[vm.host]
        return host.os.kind == "proxmox" and host.ssh is not None

    def _agent(self, vm: Vm) -> GuestReady | GuestLeased:
        if vm.ip is None:
            return GuestLeased(vm.host, node(self.lab, vm.host), vm.vmid, vm.name)
        return GuestReady(vm.host, vm.vmid, vm.name, vm.ip)

    def agent_of(self, vm: Vm) -> Callable[[Context], Check]:
        """A check whether a VM's guest agent answers."""

        def answers(ctx: Context) -> Check:
            found = guest_addresses(ctx.host(vm.host), vm.vmid)
            says = (
                f"it has {', '.join(found) or 'no address'}"
                if found is not None
                else "it is silent"
            )
            return Check(f"the guest agent of {vm.name} answers", found is not None, says)

        return answers

    def reached(self, ctx: Context) -> Iterator[Check]:
        """Each VM lets us in, and its first boot went well."""
        for vm in (*self.ours, *self.there):
            host = ctx.host(vm.name)
            try:
                boot = self._first_boot(ctx, vm) if vm in self.ours else None
                name = read_file(host, "/etc/hostname").strip()
            except (Unreachable, AuthenticationRefused) as error:  # a stranger stops the run
                yield Check(f"{vm.name} lets us in", False, error.what)
                continue
            yield Check(f"{vm.name} answers by its name", name == vm.name, name)
            if boot is not None:
                yield Check(f"{vm.name}: cloud-init is done", boot.good, str(boot))
                yield self._cards(ctx, vm)

    def _cards(self, ctx: Context, vm: Vm) -> Check:
        """The machine sees each network card that its node has given it, by its address."""
        given = cards_given(ctx.host(vm.host), node(self.lab, vm.host), vm.vmid)
        seen = cards_seen(ctx.host(vm.name))
        missing = [f"{name} ({mac})" for name, mac in given.items() if mac not in seen]
        says = f"not there: {', '.join(missing)}" if missing else ", ".join(given.values())
        return Check(f"{vm.name} sees its network cards", not missing, says)

    def _first_boot(self, ctx: Context, vm: Vm) -> FirstBoot:
        """What cloud-init says of itself, once it is not at work any more."""
        for _ in ctx.looks(_FIRST_BOOT_S):
            boot = first_boot(ctx.host(vm.name))
            if not boot.at_work:
                break
        return boot

    def sizes(self, ctx: Context) -> Iterator[Measurement]:
        """What the VMs see of what they were given."""
        for vm in self.ours:
            said = ctx.host(vm.name).read("nproc").stdout.strip()
            count = answers.expected(said, whole, host=vm.name, line="nproc")
            yield Measurement(f"{vm.name}: processors", count, "processors", vm.vcpu)
