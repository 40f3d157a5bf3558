"""Graphics cards in the machines that use them: drivers that stay whole, and what containers need.

Sources: docs.k3s.io (advanced); NVIDIA's container toolkit, its installation guide; NVIDIA's and
ROCm's device plugins, their READMEs and charts.
"""

from collections.abc import Iterator, Sequence

from homelab_lib.control.kubernetes.kubectl import KUBECTL, finished_pod
from homelab_lib.control.kubernetes.nodes import Allocatable, NodeLabels, RuntimeFound
from homelab_lib.control.kubernetes.objects import Applied
from homelab_lib.control.kubernetes.waits import Finished, NodesReady
from homelab_lib.control.linux import Download, File, Packages
from homelab_lib.control.linux.card_driver import CardDriver
from homelab_lib.control.linux.card_memory import CardMemory, nvidia_memory
from homelab_lib.control.linux.holds import Held
from homelab_lib.control.linux.pci import cards
from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster, HelmChart
from homelab_lib.recipes.graphics import manifests as gpu_manifests
from homelab_lib.recipes.graphics import memory
from homelab_lib.recipes.graphics.placed import PlacedCard, cards_of
from homelab_lib.recipes.kubernetes import charts, manifests
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Check, Context, Measurement, Step, Wanted
from homelab_lib.units import format_ibytes

MAKES = ("gpu_allocation",)
MODULES = {"NVIDIA": "nvidia", "AMD": "amdgpu"}
_KEYRING = "/usr/share/keyrings/nvidia-container-toolkit-keyring.asc"
_SOURCE = "/etc/apt/sources.list.d/nvidia-container-toolkit.list"
_TOOLKIT = "nvidia-container-toolkit"
_AMD_PACKAGES = {
    "ubuntu": ("linux-generic",),  # a cloud image's kernel comes without amdgpu and firmware
    "debian": ("linux-image-amd64", "firmware-amd-graphics"),
}
_KERNELS = ("linux-image-*", "linux-generic", "linux-virtual", "linux-modules-extra-*")
_LEAST_SHARE = 0.94  # of the memory in the catalog: drivers keep some for themselves


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The cards that come into use in a phase.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.

    Raises
    ------
    BadParameter
        A card can't be driven as the lab describes it.
    """
    found = list(cards_of(lab, phase))
    if not found:
        return
    graphics = Graphics(lab, found)
    yield Step(
        "drivers",
        "Install the drivers of the graphics cards, and hold them at their version",
        why="The card has to be on the machine's bus first. The driver comes from the "
        "distribution, without a display, and is held: an upgrade at night that brings new "
        "libraries under a loaded module, or a kernel without the module, would leave a card that "
        "nobody can use. A machine whose running kernel has no such module is restarted.",
        ensure=graphics.drivers,
        check=graphics.driven,
        measure=graphics.memory,
    )
    in_clusters: dict[str, list[PlacedCard]] = {}
    for card in found:
        if card.cluster is not None:
            in_clusters.setdefault(card.cluster.name, []).append(card)
    for name, cards_there in in_clusters.items():
        end = f"-{name}" if len(in_clusters) > 1 else ""
        yield from InCluster(lab, lab.clusters[name], cards_there).steps(end)


def documents(lab: Lab, cluster: Cluster, phase: int) -> Iterator[manifests.Object]:
    """What the steps of a phase keep in a cluster: the plugins, and no tests.

    Parameters
    ----------
    lab, cluster, phase
        What is described, and the number of the phase.
    """
    there = [card for card in cards_of(lab, phase) if card.cluster == cluster]
    if there:
        yield from InCluster(lab, cluster, there).documents()


def _on_machines(found: Sequence[PlacedCard]) -> dict[str, list[PlacedCard]]:
    machines: dict[str, list[PlacedCard]] = {}
    for card in found:
        machines.setdefault(card.machine, []).append(card)
    return machines


class Graphics:
    """Drivers; see `steps`."""

    def __init__(self, lab: Lab, found: Sequence[PlacedCard]) -> None:
        self.lab = lab
        self.machines = _on_machines(found)
        if any(card.part.vendor == "NVIDIA" for card in found) and lab.nvidia_driver is None:
            raise BadParameter(
                "a card of NVIDIA's comes into use, and the lab names no driver for it",
                where="nvidia_driver",
                fix="write its packages, as data/compute.yaml of the project has them",
            )
        for machine in self.machines:
            if machine not in lab.machines():
                raise BadParameter(
                    f"{machine} has a graphics card to use, and no SSH login",
                    where=f"hosts.{machine}.ssh",
                    fix="add one, or take its cards out of the phase",
                )

    def drivers(self, ctx: Context) -> Iterator[Wanted]:
        """Machine by machine: one that is restarted takes its pods with it."""
        for machine, found in self.machines.items():
            host = ctx.host(machine)
            yield Packages(machine, ("pciutils",))
            for vendor in dict.fromkeys(card.part.vendor for card in found):
                _refuse_without_card(host, [c for c in found if c.part.vendor == vendor])
                yield Packages(machine, self._packages(machine, vendor))
                own = ("*nvidia*",) if vendor == "NVIDIA" else ("firmware-amd-graphics",)
                what = f"{vendor}'s driver and the kernel"
                yield Held(machine, (*own, *_KERNELS), what, but=("*nvidia-container*",))
                yield CardDriver(machine, MODULES[vendor])

    def _packages(self, machine: str, vendor: str) -> tuple[str, ...]:
        if vendor == "NVIDIA":
            assert self.lab.nvidia_driver is not None
            return self.lab.nvidia_driver.packages
        return _AMD_PACKAGES[self._distribution(machine)]

    def _distribution(self, machine: str) -> str:
        """Ubuntu, or a Debian."""
        vm = self.lab.vms.get(machine)
        image = self.lab.images.get((vm.image if vm else None) or "")
        system = self.lab.system(machine)
        said = f"{image.release if image else ''} {(system.version if system else '') or ''}"
        return "ubuntu" if "ubuntu" in said.lower() else "debian"

    def driven(self, ctx: Context) -> Iterator[Check]:
        """Each card answers by its own driver, with the memory that it should have."""
        for card, seen in self._seen(ctx):
            title = f"{card.device} is driven in {card.machine}"
            if seen is None:
                yield Check(title, False, f"{MODULES[card.part.vendor]} tells of no such card")
                continue
            whole = seen.total_bytes >= _LEAST_SHARE * card.part.vram_bytes
            says = f"{seen.title}, {seen.driver}, {format_ibytes(seen.total_bytes)}"
            yield Check(title, whole, says)

    def memory(self, ctx: Context) -> Iterator[Measurement]:
        """What each card has, against the catalog."""
        for card, seen in self._seen(ctx):
            if seen is not None:
                name = f"{card.device}: memory"
                yield Measurement(name, seen.total_bytes, "B", card.part.vram_bytes)

    def _seen(self, ctx: Context) -> Iterator[tuple[PlacedCard, CardMemory | None]]:
        for machine, found in self.machines.items():
            yield from memory.told(ctx.host(machine), found)


def _refuse_without_card(host: Host, found: Sequence[PlacedCard]) -> None:
    """See that the cards are on the machine's bus.

    Raises
    ------
    BadParameter
        One is not.
    """
    there = {card.id for card in cards(host) if card.graphics}
    for card in found:
        if not there & set(card.part.pci_ids):
            shown = ", ".join(sorted(there)) or "none"
            raise BadParameter(
                f"{card.part.title} is not on the bus of {host.name}; its graphics cards: {shown}",
                where=f"{host.name}: lspci",
                fix="a VM's card is passed through in the phase of its gpu_allocation; else look "
                "whether it is seated. Nothing is installed for a card that isn't there",
            )


class InCluster:
    """Cards of a cluster's nodes; see `steps`."""

    def __init__(self, lab: Lab, cluster: Cluster, found: Sequence[PlacedCard]) -> None:
        self.lab = lab
        self.cluster = cluster
        self.server = cluster.first_server
        self.machines = _on_machines(found)
        self.vendors = list(dict.fromkeys(card.part.vendor for card in found))
        for vendor in self.vendors:
            if vendor not in cluster.device_plugins:
                raise BadParameter(
                    f"cluster {cluster.name!r} is to use cards of {vendor}, and has no plugin that "
                    "tells it of them",
                    where=f"clusters.{cluster.name}.device_plugins",
                    fix=f"write the chart of {vendor}'s device plugin there",
                )

        driver = lab.nvidia_driver
        if "NVIDIA" in self.vendors and (driver is None or driver.toolkit is None):
            raise BadParameter(
                f"cluster {cluster.name!r} is to use cards of NVIDIA's, and nothing says where the "
                "container toolkit is from",
                where="nvidia_driver.toolkit",
                fix="write it, as data/compute.yaml of the project has it",
            )

    def steps(self, end: str) -> Iterator[Step]:
        """What containers need, what tells the cluster of the cards, and pods that try them."""
        before = "drivers"
        if "NVIDIA" in self.vendors:
            before = f"container-runtime{end}"
            yield Step(
                before,
                "Give the containers of the nodes NVIDIA's runtime",
                why="The toolkit comes from NVIDIA, its key checked against the lab's digest. k3s "
                "looks for the runtime when it starts, so it is started anew where it has not "
                "found it yet; the pods of the node go on meanwhile.",
                needs=("drivers",),
                ensure=self.runtime,
                check=self.whole,
            )
        yield Step(
            f"gpu-plugins{end}",
            "Tell the cluster of its cards",
            why="The makers' device plugins by their charts. NVIDIA's wants a label on the node "
            "and NVIDIA's runtime for itself; a taint that it does not tolerate keeps it away "
            "without a word, so what keeps it away is looked for and said.",
            needs=(before,),
            ensure=self.plugins,
        )
        yield Step(
            f"gpu-test{end}",
            "Compute on each card in a pod, and show what it printed",
            why="A pod on each node asks for one card, adds two vectors on it and compares the "
            "sums with the processor's. NVIDIA has an image for that, of some 0.3 GB. For AMD's "
            "the program is compiled in AMD's own image, of some 1.2 GB, for the very card that "
            "the node's kernel tells of: one that AMD's libraries leave out is tried too.",
            needs=(f"gpu-plugins{end}",),
            ensure=self.tests,
            check=self.printed,
        )

    # -------------------------------------------------------------------- runtime

    def runtime(self, ctx: Context) -> Iterator[Wanted]:
        """The toolkit's key, source and package; then k3s looks for the runtime."""
        assert self.lab.nvidia_driver is not None
        toolkit = self.lab.nvidia_driver.toolkit
        assert toolkit is not None
        key = self.lab.downloads[toolkit.keyring]
        for machine in self._nvidia():
            yield Download(
                machine,
                _KEYRING,
                key.url,
                key.sha256,
                what="the key that signs NVIDIA's container toolkit",
                size_bytes=key.size_bytes,
                lab=self.lab.name,
            )
            # A suite that ends with a slash has no components: sources.list(5).
            rest = "" if toolkit.suite.endswith("/") else f" {toolkit.component}"
            where = f"{toolkit.url.rstrip('/')} {toolkit.suite}{rest}"
            yield File(
                machine,
                _SOURCE,
                f"deb [signed-by={_KEYRING}] {where}\n",
                what="the package source of NVIDIA's container toolkit",
                lab=self.lab.name,
            )
            yield Packages(machine, (_TOOLKIT,), anew=True)
            yield RuntimeFound(machine, "nvidia", self._unit(machine))
            yield NodesReady(self.server, (machine,), self.cluster.version)

    def _nvidia(self) -> list[str]:
        return [
            machine
            for machine, found in self.machines.items()
            if any(card.part.vendor == "NVIDIA" for card in found)
        ]

    def _unit(self, machine: str) -> str:
        return "k3s" if machine in self.cluster.servers else "k3s-agent"

    def whole(self, ctx: Context) -> Iterator[Check]:
        """Driver and library are of one version still."""
        for machine in self._nvidia():
            seen = nvidia_memory(ctx.host(machine))
            says = ", ".join(f"{card.title} by {card.driver}" for card in seen)
            yield Check(f"the driver of {machine} answers", bool(seen), says)

    # -------------------------------------------------------------------- plugins

    def documents(self) -> Iterator[manifests.Object]:
        """What is applied, but for the tests, and for the runtime: k3s itself brings that."""
        for vendor in self.vendors:
            yield from charts.documents(self._chart(vendor))

    def plugins(self, ctx: Context) -> Iterator[Wanted]:
        """Labels first, then the charts, then the cards have to be offered."""
        for machine, found in self.machines.items():
            labels = {}
            for card in found:
                maker = card.part.vendor.lower()
                labels["gpu"] = maker
                labels[f"{card.resource.partition('/')[0]}/gpu.present"] = "true"
            yield NodeLabels(self.server, self.lab.name, machine, labels)
        if "NVIDIA" in self.vendors:
            yield Applied(self.server, self.lab.name, gpu_manifests.runtime_class("nvidia"))
        for vendor in self.vendors:
            yield from charts.installed(ctx, self.server, self.lab, self._chart(vendor))
        for machine, found in self.machines.items():
            for vendor, chart in self._plugins.items():
                mine = [card for card in found if card.part.vendor == vendor]
                if not mine:
                    continue
                yield Allocatable(
                    self.server,
                    machine,
                    mine[0].resource,
                    len(mine),
                    chart.namespace,
                    gpu_manifests.plugin(vendor, chart.name),
                )

    @property
    def _plugins(self) -> dict[str, HelmChart]:
        """The chart of each maker's plugin."""
        return {str(maker): chart for maker, chart in self.cluster.device_plugins.items()}

    def _chart(self, vendor: str) -> HelmChart:
        chart = self._plugins[vendor]
        values = gpu_manifests.plugin_values(vendor) | chart.values
        return chart.model_copy(update={"values": values})

    # ---------------------------------------------------------------------- tests

    def tests(self, ctx: Context) -> Iterator[Wanted]:
        """A job for each node and maker."""
        space = gpu_manifests.TEST
        yield Applied(self.server, self.lab.name, manifests.namespace(space))
        for machine, vendor in self._tested():
            job = gpu_manifests.test_job(machine, vendor)
            yield Applied(self.server, self.lab.name, job, ("spec.template",))
        for machine, vendor in self._tested():
            yield Finished(self.server, space, gpu_manifests.test_name(machine, vendor), 1800.0)

    def _tested(self) -> list[tuple[str, str]]:
        pairs = [(m, card.part.vendor) for m, found in self.machines.items() for card in found]
        return list(dict.fromkeys(pairs))

    def printed(self, ctx: Context) -> Iterator[Check]:
        """What each of them printed."""
        host = ctx.host(self.server)
        for machine, vendor in self._tested():
            name = gpu_manifests.test_name(machine, vendor)
            pod, _ = finished_pod(host, gpu_manifests.TEST, f"homelab={name}")
            words = ("logs", "-n", gpu_manifests.TEST, pod or f"job/{name}")
            said = host.read(*KUBECTL, *words, sudo=True).stdout.strip()
            lines = [line for line in said.splitlines() if line.strip()]
            good = [line for line in lines if gpu_manifests.PASSED in line]
            title = f"a pod on {machine} computes on {vendor}'s card"
            yield Check(title, bool(good), [*good, *lines[-1:], "it printed nothing"][0])
