"""Whether cards come back when their VMs start again; with all else of the host off meanwhile."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from homelab_lib.answers import Shape, whole
from homelab_lib.control import mark
from homelab_lib.control.proxmox import options as opts
from homelab_lib.control.proxmox.api import CONFIG, GUESTS, api
from homelab_lib.control.proxmox.made_guest import KINDS
from homelab_lib.control.proxmox.second_start import GuestOff, GuestOn, SecondStart
from homelab_lib.errors import StepFailed
from homelab_lib.lab import Lab
from homelab_lib.lab.guests import Container, Vm
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Check, Context, Manual, Step, Wanted

Guest = Vm | Container
_RUNNING: Shape = [{"vmid": whole, "status": str, "name?": str}]


@dataclass(frozen=True)
class SecondStarts:
    """The VMs of one host whose cards are tried.

    Parameters
    ----------
    lab, host, node
        The lab, its host, and the host's node name.
    vms
        Those that have cards.
    ids_of
        Gives maker and device of a VM's cards.
    inside
        Tells whether a VM can be asked what it sees.
    """

    lab: Lab
    host: str
    node: str
    vms: Sequence[Vm]
    ids_of: Callable[[Context, Vm], tuple[str, ...]]
    inside: Callable[[Vm], bool]

    def step(self, end: str, check: Callable[[Context], Iterator[Check]]) -> Step:
        """The step; `check` says whether all is well afterwards."""
        are = f"{', '.join(vm.name for vm in self.vms)} {'is' if len(self.vms) == 1 else 'are'}"
        return Step(
            f"second-start{end}",
            "See that the cards come back when their VMs start again",
            why="Some cards can't be reset and hang at the second start, the host with them if "
            "you are unlucky; then only a restart of the host helps. That is better found out now "
            "than in a power cut. The host's other guests of this lab are off meanwhile. Only VMs "
            "that pass start with the host again.",
            needs=(f"passthrough{end}",),
            manual=Manual(
                f"agree that {are} shut down and started "
                f"again, the other guests of {self.node} being off meanwhile: if a card hangs, "
                f"{self.host} has to be restarted, at its switch if need be",
                verify=self.all_tried,
                or_confirmed=True,
            ),
            ensure=self.starts,
            check=check,
        )

    def untried(self, ctx: Context) -> list[Vm]:
        """The VMs that don't start with the host yet: nobody has seen their card come back."""
        host, left = ctx.host(self.host), []
        for vm in self.vms:
            config = api(host, f"/nodes/{self.node}/qemu/{vm.vmid}/config", shape=CONFIG)
            if str(config.get("onboot", "0")) != "1":
                left.append(vm)
        return left

    def all_tried(self, ctx: Context) -> Check:
        """Whether every card came back once."""
        left = [vm.name for vm in self.untried(ctx)]
        says = f"not tried yet: {', '.join(left)}" if left else "each did"
        return Check("every card came back from a second start", not left, says)

    def starts(self, ctx: Context) -> Iterator[Wanted]:
        """What is left to try, with all else off; then all on again."""
        left, others = self.untried(ctx), self._of_this_lab(ctx)
        if left:
            self._nobody_elses(ctx, others)
            for guest in others:
                yield GuestOff(guest.host, self.node, guest.vmid, guest.name, _kind(guest))
        for vm in left:
            ids, inside = self.ids_of(ctx, vm), self.inside(vm)
            yield SecondStart(vm.host, self.node, vm.vmid, vm.name, ids, inside)
        for guest in others:
            yield GuestOn(guest.host, self.node, guest.vmid, guest.name, _kind(guest))

    def _of_this_lab(self, ctx: Context) -> list[Guest]:
        """The lab's VMs and containers that are on this host: those that carry its mark."""
        host = ctx.host(self.host)
        rows = api(host, "/cluster/resources", "--type", "vm", shape=GUESTS)
        there = {row.get("vmid") for row in rows if row.get("node") == self.node}
        known = [guest for guest in self.lab.guests(self.host) if guest.vmid in there]
        return [guest for guest in known if self._is_ours(host, guest)]

    def _is_ours(self, host: Host, guest: Guest) -> bool:
        path = f"/nodes/{self.node}/{_kind(guest)}/{guest.vmid}/config"
        config = api(host, path, shape=CONFIG)
        return mark.tag(self.lab.name) in opts.tags(str(config.get("tags", "")))

    def _nobody_elses(self, ctx: Context, ours: Sequence[Guest]) -> None:
        """Guests that are not ours are not shut down by us, and would go down with the host."""
        host, known = ctx.host(self.host), {guest.vmid for guest in ours}
        others = [
            f"{row['vmid']} ({row.get('name', '')})"
            for kind in KINDS
            for row in api(host, f"/nodes/{self.node}/{kind}", shape=_RUNNING)
            if row["status"] == "running" and row["vmid"] not in known
        ]
        if others:
            raise StepFailed(
                f"guests that are not of lab {self.lab.name} run on {self.node}: "
                f"{', '.join(others)}; they would go down with it if a card hangs",
                where=self.host,
                fix="shut them down, then run the same command again",
            )


def _kind(guest: Guest) -> str:
    """As the API calls it."""
    return "qemu" if isinstance(guest, Vm) else "lxc"
