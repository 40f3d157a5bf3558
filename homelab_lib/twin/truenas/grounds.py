"""What each call of a TrueNAS rests on.

`validator`: the verdicts of the middleware's own models are compared, call by call. `source`: form
and rows are compared with its models, or were read in its source. 25.04 has no model yet of many
methods: what they write rests on less there.
"""

from collections.abc import Iterator
from dataclasses import replace

from homelab_lib.twin.fidelity import Fidelity, Grounds
from homelab_lib.twin.truenas import midclt  # noqa: F401  (which registers the families)
from homelab_lib.twin.truenas.kept import FAMILIES

_VERBS = ("create", "delete", "query", "update")
_EARLIER, _NOW = ("25.04",), ("25.10", "26.0")
_JUDGED_ALWAYS = (
    *("app.create", "cronjob.create", "docker.update", "group.create", "pool.scrub.create"),
    *("staticroute.create", "user.create"),
)
"""Methods whose verdicts are there for every series."""

_JUDGED_NOW = (
    *(
        "interface.commit",
        "interface.create",
        "interface.update",
        "network.configuration.update",
        "nfs.update",
    ),
    *("pool.create", "pool.dataset.create", "pool.dataset.update", "pool.snapshottask.create"),
    *(
        "cloudsync.create",
        "service.update",
        "sharing.nfs.create",
        "sharing.nfs.update",
        "sharing.smb.create",
    ),
    *("smb.update", "ssh.update", "system.advanced.update", "system.general.update"),
    "ups.update",
)
"""Methods whose verdicts are there since 25.10; before that they had no model."""

_MODELS_ALWAYS = (
    *("app.config", "app.gpu_choices", "app.query", "app.start", "app.stop", "app.update"),
    *("config.save", "docker.status", "core.ping", "nfs.bindip_choices"),
)
_MODELS_NOW = (
    *("boot.get_disks", "boot.get_state", "core.download", "ups.driver_choices"),
    *("disk.details", "disk.query"),
    *("filesystem.getacl", "filesystem.setacl", "sharing.smb.getacl", "sharing.smb.setacl"),
    *("interface.cancel_rollback", "interface.checkin", "interface.checkin_waiting"),
    *("interface.delete", "interface.has_pending_changes", "interface.lag_ports_choices"),
    *("interface.query", "interface.rollback"),
    *("disk.wipe", "pool.dataset.delete", "pool.dataset.query", "pool.export"),
    *("pool.import_find", "pool.import_pool", "pool.query"),
    *("service.query", "service.started", "sharing.smb.delete", "sharing.smb.query"),
    *("sharing.smb.update", "system.info", "system.ready", "system.version"),
    *(
        "cloudsync.credentials.create",
        "cloudsync.credentials.delete",
        "cloudsync.credentials.query",
    ),
    *("cloudsync.credentials.update", "cloudsync.delete", "cloudsync.query", "cloudsync.sync"),
    *("cloudsync.update", "system.version_short"),
)
_UNTOLD = (
    *("core.get_jobs", "docker.config", "network.configuration.config", "nfs.config"),
    *("smb.config", "ssh.config", "system.advanced.config", "system.general.config"),
    *("systemdataset.config", "ups.config", "filesystem.acltemplate.query", "mail.config"),
    "iscsi.global.config",
)
"""Methods that the published models leave out."""

_DOES_AS_DOCUMENTED = (
    *("app.create", "docker.update", "cloudsync.create", "iscsi.extent.create"),
    *("iscsi.target.create", "pool.create", "pool.scrub.create", "ups.update"),
)
"""Methods whose work is done by other programs (ZFS, Docker, rclone, SCST, NUT); of all others the
rows that they leave have the form of its models, and what follows was read in its source."""

_VERDICTS, _MODELS = "verdicts of its API models", "its API models"
_READ, _OLD = "middleware source", "middleware source, old schema"


_WITH_SECRETS = (
    *("user.create", "user.update", "mail.update", "alertservice.create", "alertservice.update"),
    *("iscsi.auth.create", "cloudsync.create", "cloudsync.credentials.create"),
)
"""Methods that are called with passwords."""


def _grounds() -> Iterator[Grounds]:
    found = list(_methods())
    named = {each.call for each in found}
    # A family of rows has models in every release, unless something else is said of it.
    names = (f"{space}.{verb}" for space in FAMILIES for verb in _VERBS)
    found += [_of(n, Fidelity.SOURCE, _MODELS) for n in names if f"midclt call {n}" not in named]
    yield from found
    for name in _WITH_SECRETS:  # by the client library, which takes them from standard input
        for each in [g for g in found if g.call == f"midclt call {name}"]:
            yield replace(each, call=f"python3 {name}")
    yield Grounds("python3", Fidelity.RECORDED, "Python itself runs the script")
    yield Grounds("smartctl", Fidelity.DOCUMENTATION, "smartctl(8), its JSON as recorded")
    yield Grounds("midclt ping", Fidelity.SOURCE, "truenas_api_client")
    yield Grounds("upsc", Fidelity.DOCUMENTATION, "upsc(8), keys as recorded")
    yield Grounds("docker", Fidelity.GUESSED, "docker(1), vainfo(1), ffmpeg(1)")
    yield Grounds("exportfs", Fidelity.DOCUMENTATION, "exportfs(8)")


def _methods() -> Iterator[Grounds]:
    for name in _JUDGED_ALWAYS:
        yield _of(name, Fidelity.VALIDATOR, _VERDICTS)
    for name in _JUDGED_NOW:
        yield _of(name, Fidelity.VALIDATOR, _VERDICTS, _NOW)
        yield _of(name, Fidelity.DOCUMENTATION, "API documentation", _EARLIER)
    yield _of("service.control", Fidelity.VALIDATOR, _VERDICTS, _NOW)
    for name in _MODELS_ALWAYS:
        yield _of(name, Fidelity.SOURCE, _MODELS)
    for name in _MODELS_NOW:
        yield _of(name, Fidelity.SOURCE, _MODELS, _NOW)
        yield _of(name, Fidelity.SOURCE, _OLD, _EARLIER)
    for name in _UNTOLD:
        yield _of(name, Fidelity.SOURCE, _READ)
    for verb in ("reload", "restart", "start", "stop"):
        yield _of(f"service.{verb}", Fidelity.SOURCE, _MODELS, ("25.10",))
        yield _of(f"service.{verb}", Fidelity.SOURCE, _OLD, _EARLIER)
    for name in ("interface.network_config_to_be_removed", "interface.save_network_config"):
        yield _of(name, Fidelity.SOURCE, _MODELS, _NOW)
    for name in ("interface.default_route_will_be_removed", "interface.save_default_route"):
        yield _of(name, Fidelity.SOURCE, _OLD, _EARLIER)
    yield _of("alert.list", Fidelity.SOURCE, _MODELS, ("25.04", "25.10"))
    yield _of("alert.list", Fidelity.SOURCE, _READ, ("26.0",))
    yield _of("alertservice.create", Fidelity.VALIDATOR, _VERDICTS, ("25.04", "25.10"))
    yield _of("alertservice.create", Fidelity.SOURCE, _READ, ("26.0",))
    for verb in ("delete", "query", "test", "update"):
        yield _of(f"alertservice.{verb}", Fidelity.SOURCE, _MODELS, ("25.04", "25.10"))
        yield _of(f"alertservice.{verb}", Fidelity.SOURCE, _READ, ("26.0",))
    for verb in ("create", "delete", "query", "update"):
        yield _of(f"smart.test.{verb}", Fidelity.DOCUMENTATION, "API documentation", _EARLIER)
    for room in ("auth", "extent", "initiator", "portal", "target", "targetextent"):
        for verb in ("create", "delete", "query", "update"):
            judged = (room, verb) in (("extent", "create"), ("target", "create"))
            rests = Fidelity.VALIDATOR if judged else Fidelity.SOURCE
            yield _of(f"iscsi.{room}.{verb}", rests, _VERDICTS if judged else _MODELS, _NOW)
            yield _of(f"iscsi.{room}.{verb}", Fidelity.SOURCE, _OLD, _EARLIER)
    for name in ("iscsi.global.update", "mail.update"):
        yield _of(name, Fidelity.SOURCE, _MODELS, _NOW)
        yield _of(name, Fidelity.SOURCE, _OLD, _EARLIER)


def _of(name: str, rests: Fidelity, source: str, releases: tuple[str, ...] = ()) -> Grounds:
    does = Fidelity.DOCUMENTATION if name in _DOES_AS_DOCUMENTED else Fidelity.SOURCE
    judged = rests is Fidelity.VALIDATOR
    return Grounds(f"midclt call {name}", rests, source, releases, does if judged else None)


GROUNDS: tuple[Grounds, ...] = tuple(_grounds())
