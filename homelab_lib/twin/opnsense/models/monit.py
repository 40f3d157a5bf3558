"""monit: services that are watched, and what is looked for."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from homelab_lib.twin.opnsense.fields.base import Leaf
from homelab_lib.twin.opnsense.fields.choices import Interface, Option, Relation, same
from homelab_lib.twin.opnsense.fields.constraints import SetIf, Unique
from homelab_lib.twin.opnsense.fields.network import Hostname
from homelab_lib.twin.opnsense.fields.numbers import Boolean, Integer
from homelab_lib.twin.opnsense.fields.texts import Csv, Description, Email, StrictText, Text
from homelab_lib.twin.opnsense.model import Model, Section, Table
from homelab_lib.twin.opnsense.models.monit_checks import check_monit


@dataclass(frozen=True, kw_only=True)
class _Spaced(StrictText):
    """A line; before 26.7 blanks in it were refused by mistake, and no condition goes without."""

    def check(self, leaf: Leaf) -> Iterator[str]:
        newer = leaf.tree.box.release >= (26, 7)
        yield from StrictText.check(replace(self, spaces=newer), leaf)


@dataclass(frozen=True, kw_only=True)
class _Format(Text):
    """Of a mail; before 26.7 one line without blanks."""

    def check(self, leaf: Leaf) -> Iterator[str]:
        if leaf.tree.box.release >= (26, 7):
            yield from Text.check(replace(self, special=False), leaf)
        else:
            yield from StrictText().check(leaf)


MONIT = Model(
    "Monit.Monit",
    "//OPNsense/monit",
    {
        "general": Section(
            {
                "enabled": Boolean(required=True),
                "interval": Integer(
                    0,
                    86400,
                    default="120",
                    required=True,
                    message="Polling Interval needs to be an integer value between 0 and 86400.",
                ),
                "startdelay": Integer(
                    0,
                    86400,
                    default="120",
                    required=True,
                    message="Start Delay needs to be an integer value between 0 and 86400.",
                ),
                "mailserver": Hostname(
                    default="127.0.0.1",
                    required=True,
                    as_list=True,
                    message="Please specify a valid servername or IP address.",
                ),
                "port": Integer(
                    0,
                    65535,
                    required=True,
                    default="25",
                    message="Port needs to be an integer value between 0 and 65535.",
                ),
                "username": StrictText(),
                "password": StrictText(),
                "ssl": Boolean(required=True),
                "sslversion": Option(
                    default="auto",
                    required=True,
                    options={
                        "auto": "AUTO",
                        "tlsv1": "TLSV1",
                        "tlsv11": "TLSV11",
                        "tlsv12": "TLSV12",
                        "tlsv13": "TLSV13",
                    },
                ),
                "sslverify": Boolean(required=True, default="1"),
                "logfile": StrictText(
                    mask=r"/^(\/[^\/ ]*)+\/?|syslog.*$/",
                    message="Should be a valid absolute path to the log file or the keyword "
                    '"syslog".',
                ),
                "statefile": StrictText(
                    mask=r"/^(\/[^\/ ]*)+\/?$/",
                    message="Should be a valid absolute path to the state file.",
                ),
                "eventqueuePath": StrictText(
                    mask=r"/^(\/[^\/ ]*)+\/?$/",
                    message="Should be a valid absolute path to the eventqueue directory.",
                ),
                "eventqueueSlots": Integer(message="Eventqueue Slots must be a numeric value."),
                "httpdEnabled": Boolean(required=True, constraints={"two": "httpdPassword.one"}),
                "httpdUsername": StrictText(default="root", required=True),
                "httpdPassword": StrictText(
                    constraints={"one": SetIf("A value is required.", "httpdEnabled", "1")}
                ),
                "httpdPort": Integer(
                    1,
                    65535,
                    default="2812",
                    required=True,
                    message="Local Monit Port needs to be an integer value between 0 and 65535.",
                ),
                "httpdAllow": Csv(mask=r"/\A[^\r\n]*\z/", each=True),
                "mmonitUrl": StrictText(),
                "mmonitTimeout": Integer(
                    0,
                    86400,
                    default="5",
                    required=True,
                    message="M/Monit Timeout needs to be an integer value between 0 and 86400.",
                ),
                "mmonitRegisterCredentials": Boolean(default="1", required=True),
            }
        ),
        "alert": Table(
            {
                "enabled": Boolean(required=True),
                "recipient": Email(
                    default="root@localhost.local",
                    required=True,
                    message="Please enter a valid email address.",
                ),
                "noton": Boolean(required=True),
                "events": Option(
                    multiple=True,
                    options={
                        "action": "Action done",
                        "checksum": "Checksum failed",
                        "bytein": "Download bytes exceeded",
                        "byteout": "Upload bytes exceeded",
                        "connection": "Connection failed",
                        "content": "Content failed",
                        "data": "Data access error",
                        "exec": "Execution failed",
                        "fsflags": "Filesystem flags failed",
                        "gid": "GID failed",
                        "icmp": "Ping failed",
                        "instance": "Monit instance changed",
                        "invalid": "Invalid type",
                        "link": "Link down",
                        "nonexist": "Does not exist",
                        "packetin": "Download packets exceeded",
                        "packetout": "Upload packets exceeded",
                        "permission": "Permission failed",
                        "pid": "PID failed",
                        "ppid": "PPID failed",
                        "resource": "Resource limit matched",
                        "saturation": "Saturation exceeded",
                        "size": "Size failed",
                        "speed": "Speed failed",
                        "status": "Status failed",
                        "timeout": "Timeout",
                        "timestamp": "Timestamp failed",
                        "uid": "UID failed",
                        "uptime": "Uptime failed",
                    },
                ),
                "format": _Format(
                    mask="/[^{}]+/",
                    message='Non-printable characters as well as "{" and "}" are not allowed.',
                ),
                "reminder": Integer(
                    0, 86400, message="Reminder needs to be an integer value between 0 and 86400."
                ),
                "description": Description(),
            }
        ),
        "service": Table(
            {
                "enabled": Boolean(required=True),
                "name": StrictText(
                    required=True,
                    mask=r"/^([0-9a-zA-Z\._\-\$]){1,255}$/u",
                    message="Should be a string between 1 and 255 characters. Allowed characters "
                    "are letters and numbers as well as underscore, minus, dot and the dollar "
                    "sign.",
                    constraints={"one": Unique("Service name must be unique.")},
                ),
                "description": Description(),
                "type": Option(
                    required=True,
                    options={
                        "process": "Process",
                        "file": "File",
                        "fifo": "Fifo",
                        "filesystem": "Filesystem",
                        "directory": "Directory",
                        "host": "Remote Host",
                        "system": "System",
                        "custom": "Custom",
                        "network": "Network",
                    },
                ),
                "pidfile": StrictText(
                    mask=r"/^(\/[^\/ ]*)+\/?$/",
                    message="Should be a valid absolute path to the PID file of the process.",
                ),
                "match": StrictText(),
                "path": StrictText(
                    mask=r"/^(\/[^\/ ]*)+\/?.*$/",
                    message="Should be a valid absolute file or folder path.",
                ),
                "timeout": Integer(
                    1,
                    86400,
                    default="300",
                    required=True,
                    message="Program Timeout needs to be an integer value between 1 and 86400.",
                ),
                "starttimeout": Integer(
                    0,
                    86400,
                    default="30",
                    required=True,
                    message="Start Delay needs to be an integer value between 0 and 86400.",
                ),
                "address": Hostname(),
                "interface": Interface(
                    parents=True, where={"enable": "/^(?!0).*$/", "ipaddr": "/^((?!dhcp).)*$/"}
                ),
                "start": _Spaced(
                    mask=r"/^(\/[^\/ ]*)+\/? .*$/",
                    message="Should be a valid absolute path to the executable with its arguments.",
                ),
                "stop": _Spaced(
                    mask=r"/^(\/[^\/ ]*)+\/? .*$/",
                    message="Should be a valid absolute path to the executable with its arguments.",
                ),
                "tests": Relation(
                    items="test",
                    display=("name",),
                    message="Related item not found.",
                    multiple=True,
                ),
                "depends": Relation(
                    items="service",
                    display=("name",),
                    message="Related item not found.",
                    multiple=True,
                ),
                "polltime": _Spaced(
                    mask=r"/^([0-9a-zA-Z\*\-\, ]){1,255}$/u",
                    message="Should be a string between 1 and 255 characters. Allowed characters "
                    "are letters and numbers as well as asterisk, hyphen, comma and space.",
                ),
            }
        ),
        "test": Table(
            {
                "name": StrictText(
                    required=True,
                    mask=r"/^([0-9a-zA-Z\._\- ]){1,255}$/u",
                    message="Should be a string between 1 and 255 characters. Allowed characters "
                    "are letters and numbers as well as underscore, minus, dot and space.",
                ),
                "type": Option(
                    required=True,
                    default="Custom",
                    options=same(
                        "Existence SystemResource ProcessResource ProcessDiskIO FileChecksum "
                        "Timestamp FileSize FileContent FilesystemMountFlags SpaceUsage "
                        "InodeUsage DiskIO Permisssion UID GID PID PPID Uptime ProgramStatus "
                        "NetworkInterface NetworkPing Connection Custom"
                    ),
                ),
                "condition": _Spaced(
                    required=True,
                    mask="/^.{1,255}$/u",
                    message="Should be a string between 1 and 255 characters.",
                ),
                "action": Option(
                    required=True,
                    options={
                        "alert": "Alert",
                        "restart": "Restart",
                        "start": "Start",
                        "stop": "Stop",
                        "exec": "Execute",
                        "unmonitor": "Unmonitor",
                    },
                ),
                "path": StrictText(
                    mask=r"/^(\/[^\/ ]*)+\/?.*$/", message="Should be a valid absolute file path."
                ),
            }
        ),
    },
    version="1.0.14",
    checks=check_monit,
    title="Monit settings",
)
