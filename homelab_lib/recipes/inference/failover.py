"""Model servers that stand in for each other: HAProxy in front of them, and one stopped on purpose.

HAProxy rather than Traefik or nginx: it asks each server whether it has the model, which the free
nginx does not, and Traefik only from chart 40 on and within the cluster. It runs where the lab
says, which should be no machine for which it is to stand in.
"""

from collections.abc import Iterator

from homelab_lib.control.haproxy.status import servers
from homelab_lib.control.haproxy.trial import Tried
from homelab_lib.control.linux import File, Packages
from homelab_lib.control.linux.unit_file import FOLDER, OwnService, unit_text
from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Service
from homelab_lib.lab.inference import Balancer, Route
from homelab_lib.recipes.inference.balancing import STATUS, STATUS_PORT, End, Way, configuration
from homelab_lib.recipes.inference.ollama import KEPT
from homelab_lib.recipes.inference.ollama_host import UNIT as OLLAMA
from homelab_lib.recipes.inference.servers import PORT, ModelServer, server_of
from homelab_lib.runbook.step import Check, Context, Manual, Measurement, Step, Wanted

MAKES = ("services",)
_UNIT = "homelab-models"
_CONFIGURATION = "/etc/homelab/models.cfg"
_PROGRAM = "/usr/sbin/haproxy"


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The balancers of a phase; none where it has none.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.

    Raises
    ------
    BadParameter
        One can't do what it is to do: its key and what to do.
    """
    services = [s for s in lab.services.values() if s.balancer is not None and s.phase == phase]
    for service in services:
        assert service.balancer is not None
        end = f"-{service.name}" if len(services) > 1 else ""
        yield from Failover(lab, service, service.balancer, phase).steps(end)


class Failover:
    """One balancer; see `steps`."""

    def __init__(self, lab: Lab, service: Service, described: Balancer, phase: int) -> None:
        self.lab = lab
        self.service = service
        self.described = described
        self.phase = phase
        self.machine = service.runs_on or ""
        self.where = f"services.{service.name}.balancer"
        self.servers = {route.name: self._servers(route) for route in described.routes}
        self._refuse_ports()

    def steps(self, end: str) -> Iterator[Step]:
        """HAProxy, and where it can be tried, what comes of a server that is stopped."""
        own = [each for found in self.servers.values() for each in found]
        ports = "; ".join(
            f"{way.port} for {' and then '.join(e.name for e in way.ends)}" for way in self.ways
        )
        yield Step(
            f"balancer{end}",
            "Have model servers stand in for each other",
            why=f"HAProxy on {self.machine}, with a service and a file of its own beside the "
            f"distribution's. Its ports: {ports}. It asks each server whether it has the model, "
            "not only whether it answers; and where a connection fails, the same request goes to "
            "the next server. By it nobody pulls or deletes a model.",
            needs=("answers",) if any(e.service.phase == self.phase for e in own) else (),
            ensure=self.install,
            check=self.all_up,
        )
        if tried := list(self.trials()):
            yield Step(
                f"failover{end}",
                "Stop a model server, and see that requests go on",
                why="What stands in is worth what was tried. The server that is asked first is "
                "stopped, the same questions go on, and it is started again, with its model in "
                "memory: also where our link drops meanwhile.",
                needs=(f"balancer{end}",),
                manual=Manual(
                    f"agree that Ollama on {self.machine} is stopped for a minute: whoever asks "
                    "it past the balancer gets no answer then",
                    verify=self.was_tried,
                    or_confirmed=True,
                ),
                ensure=lambda ctx: iter(tried),
                check=self.went_on,
                measure=self.shared,
            )

    # ---------------------------------------------------------------- its servers

    def _servers(self, route: Route) -> list[ModelServer]:
        where = f"{self.where}.routes.{route.name}.models"
        found = []
        for name in route.models:
            server = server_of(self.lab, self.lab.models[name], self.phase)
            if server is None:
                raise BadParameter(
                    f"port {route.port} leads to {name}, and no Ollama serves that by phase "
                    f"{self.phase}",
                    where=where,
                    fix="give its device a service with  ollama  and a phase, or leave it out",
                )
            if server.card.cluster is None and server.card.machine != self.machine:
                raise BadParameter(
                    f"port {route.port} leads to {name}, whose server listens on "
                    f"{server.card.machine} alone, and {self.service.name} runs on {self.machine}",
                    where=where,
                    fix=f"run {self.service.name} on {server.card.machine}, or serve {name} by a "
                    "cluster, which lets in whom the lab names",
                )
            found.append(server)
        hosts = [self._host(each.card.machine) for each in found]
        if len(found) > 1 and len(set(hosts)) == 1:
            raise BadParameter(
                f"all servers behind port {route.port} are on {hosts[0]}: when that is down, none "
                "of them stands in for another",
                where=where,
                fix="name one on another host, or only one",
            )
        return found

    def _host(self, machine: str) -> str:
        """The physical machine."""
        vm = self.lab.vms.get(machine)
        return vm.host if vm is not None else machine

    def _refuse_ports(self) -> None:
        local = [s for found in self.servers.values() for s in found if s.card.cluster is None]
        taken = {STATUS_PORT: "the balancer's own status"}
        taken |= {PORT: f"Ollama on {self.machine}"} if local else {}
        for route in self.described.routes:
            if route.port in taken:
                raise BadParameter(
                    f"port {route.port} of {self.machine} is {taken[route.port]}'s",
                    where=f"{self.where}.routes.{route.name}.port",
                    fix="write another one",
                )
            taken[route.port] = f"route {route.name}"

    @property
    def ways(self) -> list[Way]:
        """Its ports."""
        return [
            Way(
                route.name, route.port, self._tag(route), tuple(map(_end, self.servers[route.name]))
            )
            for route in self.described.routes
        ]

    def _tag(self, route: Route) -> str:
        """The model of a route: all of it are of one tag."""
        published = self.lab.models[route.models[0]].published
        assert published is not None
        return published.tag

    # ------------------------------------------------------------------ installed

    def install(self, ctx: Context) -> Iterator[Wanted]:
        """The program, its configuration, and a service of its own."""
        machine = self.machine
        yield Packages(machine, ("haproxy", "curl"))
        text = configuration(self.ways, self.described.asked_from)
        what = "which model servers stand in for which"
        yield File(machine, _CONFIGURATION, text, what=what, lab=self.lab.name)
        path = f"{FOLDER}/{_UNIT}.service"
        unit = unit_text(
            "HAProxy in front of model servers",
            f"{_PROGRAM} -db -f {_CONFIGURATION}",
            _UNIT,
            (path, _CONFIGURATION),
            (f"ExecStartPre={_PROGRAM} -c -q -f {_CONFIGURATION}", "DynamicUser=yes"),
        )
        yield File(machine, path, unit, what="the balancer's service", lab=self.lab.name)
        yield OwnService(machine, _UNIT, (path, _CONFIGURATION))

    def all_up(self, ctx: Context) -> Iterator[Check]:
        """Each server is there, with its model."""
        found = servers(ctx.host(self.machine), STATUS)
        for way in self.ways:
            for end in way.ends:
                row = (found or {}).get((way.name, end.name))
                state = row["status"] if row is not None else "the balancer says nothing of it"
                title = f"{end.name} behind port {way.port} has {way.tag}"
                yield Check(title, state == "UP", state)

    # ---------------------------------------------------------------------- tried

    def trials(self) -> Iterator[Tried]:
        """Of each port with somebody to stand in: its first server, where that is a service of the
        balancer's own machine, so that it can be started again whatever happens."""
        for way in self.ways:
            first, *others = self.servers[way.name]
            if others and first.card.cluster is None:
                keep = f"{KEPT}/{self.service.name}-{way.name}-{'-'.join(e.name for e in way.ends)}"
                yield Tried(
                    self.machine, OLLAMA, way.name, way.port, way.tag, first.url, STATUS, keep
                )

    def was_tried(self, ctx: Context) -> Check:
        """Whether it was done before."""
        left = [t.port for t in self.trials() if not t.observe(ctx.host(self.machine))]
        says = f"not tried yet: port {', '.join(map(str, left))}" if left else "each was"
        return Check("each port was tried with its first server stopped", not left, says)

    def went_on(self, ctx: Context) -> Iterator[Check]:
        """Each request was answered, and not all by the first server."""
        for trial in self.trials():
            statuses, served = trial.told(ctx.host(self.machine))
            bad = [each for each in statuses if each != "200"]
            says = f"{len(statuses) - len(bad)} of {len(statuses)} answered"
            well = not bad and bool(statuses)
            anew = "" if well else f"; rm {trial.keep} on {self.machine} has it tried once more"
            yield Check(f"no request at port {trial.port} was lost", well, f"{says}{anew}")
            first = self.servers[trial.way][0].name
            others = {name: count for name, count in served.items() if name != first and count}
            says = ", ".join(f"{name}: {count}" for name, count in served.items())
            yield Check(f"somebody stood in for {first}", bool(others), says)

    def shared(self, ctx: Context) -> Iterator[Measurement]:
        """How many requests each server took."""
        for trial in self.trials():
            statuses, served = trial.told(ctx.host(self.machine))
            for name, count in served.items():
                first = name == self.servers[trial.way][0].name
                foretold = 1 if first else len(statuses) - 1
                yield Measurement(f"{name} at port {trial.port}", count, "requests", foretold)


def _end(server: ModelServer) -> End:
    local = server.card.cluster is None
    return End(server.name, "127.0.0.1" if local else server.address, server.port)
