"""Whether cards come back when their VMs start again; with all else of the host off meanwhile."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from homelab_lib.answers import Shape, whole
from homelab_lib.control import mark
from homelab_lib.control.proxmox import options as opts
from homelab_lib.control.proxmox.api import CONFIG, GUESTS, api
from homelab_lib.control.proxmox.second_start import GuestOff, GuestOn, SecondStart
from homelab_lib.errors import StepFailed
from homelab_lib.lab import Lab
from homelab_lib.lab.guests import Vm
from homelab_lib.runbook.step import Check, Context, Manual, Step, Wanted

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
            "than in a power cut. The host's other VMs of this lab are shut down meanwhile. Only "
            "VMs that pass start with the host again.",
            needs=(f"passthrough{end}",),
            manual=Manual(
                f"agree that {are} shut down and started "
                f"again, the other VMs of {self.node} being off meanwhile: if a card hangs, "
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
            for vm in others:
                yield GuestOff(vm.host, self.node, vm.vmid, vm.name)
        for vm in left:
            ids, inside = self.ids_of(ctx, vm), self.inside(vm)
            yield SecondStart(vm.host, self.node, vm.vmid, vm.name, ids, inside)
        for vm in others:
            yield GuestOn(vm.host, self.node, vm.vmid, vm.name)

    def _of_this_lab(self, ctx: Context) -> list[Vm]:
        """The lab's VMs that are on this host: those that carry its mark."""
        rows = api(ctx.host(self.host), "/cluster/resources", "--type", "vm", shape=GUESTS)
        there = {row.get("vmid") for row in rows if row.get("node") == self.node}
        known = [v for v in self.lab.vms.values() if v.host == self.host and v.vmid in there]
        return [vm for vm in known if self._is_ours(ctx, vm)]

    def _is_ours(self, ctx: Context, vm: Vm) -> bool:
        path = f"/nodes/{self.node}/qemu/{vm.vmid}/config"
        config = api(ctx.host(self.host), path, shape=CONFIG)
        return mark.tag(self.lab.name) in opts.tags(str(config.get("tags", "")))

    def _nobody_elses(self, ctx: Context, ours: Sequence[Vm]) -> None:
        """Guests that are not ours are not shut down by us, and would go down with the host."""
        rows = api(ctx.host(self.host), f"/nodes/{self.node}/qemu", shape=_RUNNING)
        known = {vm.vmid for vm in ours}
        others = [
            f"{row['vmid']} ({row.get('name', '')})"
            for row in rows
            if row["status"] == "running" and row["vmid"] not in known
        ]
        if others:
            raise StepFailed(
                f"VMs that are not of lab {self.lab.name} run on {self.node}: {', '.join(others)}; "
                "they would go down with it if a card hangs",
                where=self.host,
                fix="shut them down, then run the same command again",
            )
