"""The families of rows that TrueNAS keeps, as tables.

Sources: the middleware's API models of 25.04, 25.10 and 26. A new family is an entry here and a
function that says what one of its rows should be.
"""

from collections.abc import Sequence

from homelab_lib.control import mark
from homelab_lib.control.truenas.family import Before, Family, Field, Values
from homelab_lib.control.truenas.midclt import Release
from homelab_lib.control.truenas.row import Row

_CRON = {"minute": "00", "hour": "*", "dom": "*", "month": "*", "dow": "*"}

NFS_SHARE = Family(
    "sharing.nfs",
    "NFS share",
    key=("path",),
    mark="comment",
    fields={
        "path": Field(),
        "comment": Field(""),
        "networks": Field((), unordered=True),
        "hosts": Field((), unordered=True),
        "ro": Field(False),
        "maproot_user": Field(),
        "maproot_group": Field(),
        "mapall_user": Field(),
        "mapall_group": Field(),
        "security": Field((), unordered=True),
        "enabled": Field(True),
        "expose_snapshots": Field(False),
    },
)

SMB_SHARE = Family(
    "sharing.smb",
    "SMB share",
    key=("name",),
    mark="comment",
    fields={
        "name": Field(),
        "path": Field(),
        "comment": Field(""),
        "enabled": Field(True),
        "browsable": Field(True),
        "readonly": Field(False, before=Before((25, 10), "ro")),
        "access_based_share_enumeration": Field(False, before=Before((25, 10), "abe")),
        "purpose": Field(
            "DEFAULT_SHARE",
            before=Before(
                (25, 10),
                "purpose",
                {
                    "MULTIPROTOCOL_SHARE": "MULTI_PROTOCOL_NFS",
                    "TIMEMACHINE_SHARE": "TIMEMACHINE",
                    "PRIVATE_DATASETS_SHARE": "PRIVATE_DATASETS",
                },
            ),
        ),
        "options": Field({}, since=(25, 10), unheard=frozenset({"purpose"})),
    },
    together=frozenset({"purpose", "options"}),
)

SNAPSHOT_TASK = Family(
    "pool.snapshottask",
    "snapshots",
    key=("dataset", "naming_schema"),
    fields={
        "dataset": Field(),
        "naming_schema": Field("auto-%Y-%m-%d_%H-%M"),
        "recursive": Field(False),
        "exclude": Field((), unordered=True),
        "lifetime_value": Field(2),
        "lifetime_unit": Field("WEEK"),
        "schedule": Field(_CRON | {"begin": "00:00", "end": "23:59"}),
        "allow_empty": Field(True),
        "enabled": Field(True),
    },
    # Without it, snapshots that are there already would follow the new lifetime.
    on_update={"fixate_removal_date": True},
)

CRON_JOB = Family(
    "cronjob",
    "cron job",
    key=("description",),
    fields={
        "description": Field(""),
        "command": Field(),
        "user": Field(),
        "schedule": Field(_CRON),
        "stdout": Field(True),  # true hides it
        "stderr": Field(False),
        "enabled": Field(True),
    },
)

INIT_SCRIPT = Family(
    "initshutdownscript",
    "command",
    key=("comment",),
    fields={
        "comment": Field(""),
        "type": Field(),
        "command": Field(""),
        "when": Field(),
        "timeout": Field(10),
        "enabled": Field(True),
    },
)

REPORTING = Family(
    "reporting.exporters",
    "reporting exporter",
    key=("name",),
    fields={
        "name": Field(),
        "enabled": Field(True),
        "attributes": Field({"update_every": 1}),
    },
)

GROUP = Family(
    "group",
    "group",
    key=("name",),
    fields={
        "name": Field(),
        "gid": Field(0),
        "smb": Field(True),
        "sudo_commands": Field((), unordered=True),
        "sudo_commands_nopasswd": Field((), unordered=True),
    },
    unmarked=True,
)


def nas_group(
    host: str,
    lab: str,
    release: Release,
    name: str,
    smb: bool = True,
    gid: int | None = None,
    sudo_commands: Sequence[str] = (),
    sudo_commands_nopasswd: Sequence[str] = (),
) -> Row:
    """A group; TrueNAS picks its number where none is given."""
    wanted: Values = {
        "smb": smb,
        "sudo_commands": sorted(sudo_commands),
        "sudo_commands_nopasswd": sorted(sudo_commands_nopasswd),
    }
    number: Values = {} if gid is None else {"gid": gid}
    return Row(host, lab, release, GROUP, {"name": name}, {**wanted, **number})


def nfs_share(
    host: str,
    lab: str,
    release: Release,
    path: str,
    networks: Sequence[str],
    maproot_user: str | None = None,
    maproot_group: str | None = None,
) -> Row:
    """An NFS export, to some networks and no others; what is not named is as TrueNAS has it."""
    wanted: Values = {
        "networks": sorted(networks),
        "hosts": [],
        "maproot_user": maproot_user,
        "maproot_group": maproot_group,
        "mapall_user": None,
        "mapall_group": None,
        "security": [],
        "ro": False,
        "enabled": True,
    }
    return Row(host, lab, release, NFS_SHARE, {"path": path}, wanted)


def smb_share(
    host: str, lab: str, release: Release, name: str, path: str, purpose: str = "DEFAULT_SHARE"
) -> Row:
    """An SMB share that may be written to, for a purpose as 25.10 and later call it."""
    wanted: Values = {
        "path": path,
        "purpose": purpose,
        "options": {"purpose": purpose},
        "readonly": False,
        "enabled": True,
    }
    return Row(host, lab, release, SMB_SHARE, {"name": name}, wanted)


def snapshot_task(
    host: str,
    lab: str,
    release: Release,
    dataset: str,
    schedule: Values,
    keep: tuple[int, str],
    recursive: bool = True,
    *,
    name: str = "",
    naming_schema: str = "auto-%Y-%m-%d_%H-%M",
    exclude: Sequence[str] | None = None,
    allow_empty: bool | None = None,
    enabled: bool = True,
) -> Row:
    """Snapshots of a dataset by a schedule, kept for ``(2, "WEEK")``; what they are called begins
    with our mark, and with the task's name where it has one."""
    given: Values = {"exclude": exclude and sorted(exclude), "allow_empty": allow_empty}
    wanted: Values = {
        "schedule": dict(schedule),
        "lifetime_value": keep[0],
        "lifetime_unit": keep[1],
        "recursive": recursive,
        "enabled": enabled,
        **{name: value for name, value in given.items() if value is not None},
    }
    begins = "-".join(each for each in (mark.tag(lab), name) if each)
    called = f"{begins}-{naming_schema.removeprefix('auto-')}"
    key = {"dataset": dataset, "naming_schema": called}
    return Row(host, lab, release, SNAPSHOT_TASK, key, wanted)


def sends_numbers(host: str, lab: str, release: Release, address: str, port: int) -> Row:
    """Where a NAS sends its numbers, as Graphite: the one form that it has."""
    attributes = {
        "exporter_type": "GRAPHITE",
        "destination_ip": address,
        "destination_port": port,
        "prefix": "truenas",
        "namespace": host,
        "update_every": 10,
    }
    wanted: Values = {"enabled": True, "attributes": attributes}
    return Row(host, lab, release, REPORTING, {"name": mark.tag(lab)}, wanted)


def cron_job(
    host: str,
    lab: str,
    release: Release,
    what: str,
    command: str,
    schedule: Values,
    user: str = "root",
    enabled: bool = True,
) -> Row:
    """A command at set times; what it prints of errors is mailed."""
    wanted: Values = {
        "command": command,
        "user": user,
        "schedule": dict(schedule),
        "stdout": True,
        "stderr": False,
        "enabled": enabled,
    }
    return Row(host, lab, release, CRON_JOB, {"description": f"{what}; {mark.text(lab)}"}, wanted)


def init_script(
    host: str,
    lab: str,
    release: Release,
    what: str,
    command: str,
    when: str,
    timeout_s: int = 10,
    enabled: bool = True,
) -> Row:
    """A command as the NAS starts (``PREINIT``, ``POSTINIT``) or stops (``SHUTDOWN``)."""
    wanted: Values = {
        "type": "COMMAND",
        "command": command,
        "when": when,
        "timeout": timeout_s,
        "enabled": enabled,
    }
    return Row(host, lab, release, INIT_SCRIPT, {"comment": f"{what}; {mark.text(lab)}"}, wanted)
