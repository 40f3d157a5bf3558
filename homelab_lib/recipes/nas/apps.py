"""Apps of a NAS's catalog: where they are kept, that they run, and what their graphics do."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from homelab_lib.control.truenas.apps import App, AppsPool
from homelab_lib.control.truenas.transcoding import PROGRAMS, Offered, offered, streams
from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import CatalogApp, Service
from homelab_lib.models import transcode
from homelab_lib.recipes.nas import graphics as nas_graphics
from homelab_lib.recipes.nas.graphics import Graphics
from homelab_lib.recipes.nas.network import end
from homelab_lib.runbook.step import Check, Context, Manual, Measurement, Step, Wanted

MAKES = ("services",)
_SIZES = ("1080p", "4K")
_VOLUME = "/mnt/.ix-apps/app_mounts/{app}/config"
_SETTINGS = "config/encoding.xml"  # in what it knows as its own
_DEVICE = re.compile(r"<(?:Vaapi|Qsv)Device>(/dev/dri/[^<]+)</")
_ACCELERATION = re.compile(r"<HardwareAccelerationType>(\w+)</")


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The pool for apps, each app, and what its graphics do.

    Raises
    ------
    BadParameter
        Nobody says on which of several pools apps are kept.
    """
    services = [
        service
        for service in lab.services.values()
        if service.phase == phase and service.app is not None
    ]
    hosts = [lab.hosts[name] for name in dict.fromkeys(s.runs_on for s in services if s.runs_on)]
    for host in hosts:
        pool = pool_of(lab, host.name)
        yield Step(
            f"nas-apps{end(host, hosts)}",
            f"Keep apps on pool {pool}",
            why="Apps, their images and what they remember lie on one pool, in a dataset that the "
            "NAS makes for them. It is chosen once: what is on one pool does not move by itself.",
            ensure=partial(_pool, AppsPool(host.name, pool)),
        )
    yield from nas_graphics.steps(lab, phase)
    for service in services:
        host = lab.hosts[service.runs_on or ""]
        yield from OnNas(lab, service).steps(f"nas-apps{end(host, hosts)}")


def _pool(pool: AppsPool, ctx: Context) -> Iterator[Wanted]:
    yield pool


def pool_of(lab: Lab, host: str) -> str:
    """The pool that a NAS's apps are kept on.

    Raises
    ------
    BadParameter
        It has several, or none.
    """
    described = lab.nas.get(host)
    if described is not None and described.apps_pool is not None:
        return described.apps_pool
    pools = list(lab.pools.get(host, {}))
    if len(pools) != 1:
        raise BadParameter(
            f"{host} has {len(pools)} pools, and nothing says which of them apps are kept on",
            where=f"nas.{host}.apps_pool",
            fix=f"write one of {', '.join(pools)} there" if pools else f"describe a pool of {host}",
        )
    return pools[0]


@dataclass(frozen=True)
class OnNas:
    """A service that is an app of its NAS's catalog."""

    lab: Lab
    service: Service

    @property
    def host(self) -> str:
        """The NAS."""
        return self.service.runs_on or ""

    @property
    def app(self) -> CatalogApp:
        """What the lab says of the app."""
        assert self.service.app is not None
        return self.service.app

    @property
    def catalog_name(self) -> str:
        """What the catalog calls it."""
        return self.app.name or self.service.name

    @property
    def resource(self) -> App:
        """The app as it is to be."""
        return App(
            self.host,
            self.lab.name,
            self.service.name,
            self.app.train,
            self.catalog_name,
            self.app.container or self.catalog_name,
            self.values,
            self.app.version,
        )

    @property
    def values(self) -> Mapping[str, Any]:
        """Its values."""
        return self.app.values

    def steps(self, pool: str) -> Iterator[Step]:
        """It is installed; where it is known how, its graphics are tried."""
        name, title = self.service.name, self.service.title
        yield Step(
            f"app-{name}",
            f"Install {title}",
            why=f"{self.service.purpose or title}: an app of the NAS's own catalog, with the "
            "values that the lab has for it and its own for all else. Values that a person sets "
            "in the app itself are left alone.",
            needs=(pool,),
            ensure=lambda ctx: iter([self.resource]),
            check=self.answers,
        )
        graphics = Graphics.of(self.lab, self.service)
        if graphics is None or not graphics.by_vaapi or self.catalog_name not in PROGRAMS:
            return
        yield Step(
            f"transcode-{name}",
            f"Have {title} transcode films by {graphics.title}",
            why="The app is given all graphics of the machine, and has to be told which to use. "
            "Each codec that the card is bought for is asked of its driver, within the app's own "
            "container; then a made-up film is transcoded, to count how many go at once.",
            needs=(f"app-{name}",),
            manual=Manual(
                f"in {title}, Dashboard, Playback: choose hardware acceleration (QSV or VAAPI) and "
                f"give it the render node of {graphics.title}, which "
                f"`ls -l /dev/dri/by-path` on {self.host} shows; switch on tone mapping",
                verify=lambda ctx: self._chosen(ctx, graphics),
                or_confirmed=True,
            ),
            check=lambda ctx: self.turned_over(ctx, graphics),
            measure=lambda ctx: self.counted(ctx, graphics),
        )
        yield Step(
            f"play-{name}",
            f"See that {title} sends a film as it is",
            why="A film that a television can play as it is needs no transcode at all. Whether it "
            "was sent so, only who watches can tell.",
            needs=(f"app-{name}",),
            manual=Manual(
                f"play a film that your television knows, and look at {title}'s dashboard while it "
                "plays: it has to say “direct playing”, and the load of the NAS stays low"
            ),
        )

    def answers(self, ctx: Context) -> Iterator[Check]:
        """Whether it answers at its port."""
        if self.service.port is None:
            return
        url = f"http://127.0.0.1:{self.service.port}/"
        words = ("curl", "-s", "-m", "20", "-w", "%{http_code}\n", url)
        shown = ctx.host(self.host).read(*words, ok=None)
        code = shown.stdout.strip()[-3:]
        title = f"{self.service.title} answers at port {self.service.port}"
        yield Check(title, shown.exit_status == 0 and code < "500", f"HTTP status {code}")

    # ------------------------------------------------------------------ graphics

    @property
    def _container(self) -> str:
        return f"ix-{self.service.name}-{self.app.container or self.catalog_name}-1"

    @property
    def _kept_in(self) -> str:
        """Where on the NAS its settings are: in a folder of ours, or in a volume of its own."""
        storage = self.values.get("storage")
        config = storage.get("config") if isinstance(storage, Mapping) else None
        folder = config.get("host_path_config") if isinstance(config, Mapping) else None
        path = folder.get("path") if isinstance(folder, Mapping) else None
        return str(path or _VOLUME.format(app=self.service.name))

    def _chosen(self, ctx: Context, graphics: Graphics) -> Check:
        """What it was told to render by."""
        title = f"{self.service.title} renders by {graphics.title}"
        path = f"{self._kept_in}/{_SETTINGS}"
        shown = ctx.host(self.host).read("cat", "--", path, ok=None, sudo=True)
        if shown.exit_status:
            return Check(title, False, "nobody has set anything yet")
        how = _ACCELERATION.search(shown.stdout)
        nodes = set(_DEVICE.findall(shown.stdout))
        wanted = graphics.node(ctx)
        if how is None or how[1] == "none":
            return Check(title, False, "it is set to none")
        says = f"{how[1]} by {', '.join(sorted(nodes)) or 'no node'}; it has to be {wanted}"
        return Check(title, wanted in nodes, says)

    def turned_over(self, ctx: Context, graphics: Graphics) -> Iterator[Check]:
        """Each codec, and tone mapping, as its driver offers them in the container."""
        chosen = self._chosen(ctx, graphics)
        if not chosen.holds and "it has to be" in chosen.says:
            yield chosen  # somebody chose, and chose another
        node = graphics.node(ctx)
        found = offered(
            ctx.host(self.host), self._container, PROGRAMS[self.catalog_name], node or "none"
        )
        title = f"the driver of {graphics.title} answers in the container"
        if found is None:
            yield Check(title, False, f"vainfo ends with an error at {node or 'no node'}: a bus "
                        "error means that Resizable BAR is off")  # fmt: skip
            return
        yield Check(title, True, node)
        yield from _codecs(found, graphics)

    def counted(self, ctx: Context, graphics: Graphics) -> Iterator[Measurement]:
        """How many films at once, beside what the design hopes for."""
        programs, node = PROGRAMS[self.catalog_name], graphics.node(ctx)
        for size in _SIZES if node else ():
            speed = streams(ctx.host(self.host), self._container, programs, node, size)
            if speed is None:
                continue
            hoped = [
                row.streams_low
                for row in self.lab.transcoding
                if row.device == graphics.place and size in row.scenario
            ]
            name = f"{size} films at once on {graphics.place}"
            yield Measurement(name, films_at_once(size, speed), "streams", next(iter(hoped), None))


def films_at_once(size: str, speed: float) -> int:
    """How many films of a size go at once, where one alone goes so many times as fast as it is
    watched: what was measured is what its engines transcode."""
    target = transcode.PIXELS["1080p"]
    film = transcode.Stream("hevc", "h264", transcode.PIXELS[size], target)
    rates = {
        codec: speed * film.frames_per_second * pixels
        for codec, pixels in (("hevc", film.source_pixels), ("h264", target))
    }
    return transcode.streams_that_fit(film, transcode.Engine(1, rates, rates))


def _codecs(found: Offered, graphics: Graphics) -> Iterator[Check]:
    for way, wanted, offers in (
        ("decodes", graphics.decodes, found.decodes),
        ("encodes", graphics.encodes, found.encodes),
    ):
        for codec in wanted:
            there = f"it {way} {', '.join(sorted(offers)) or 'nothing'}"
            yield Check(f"{graphics.title} {way} {codec}", codec in offers, there)
    says = "" if found.processes else "its driver has no video processing"
    yield Check(f"{graphics.title} maps tones", found.processes, says)
