"""What the methods of services and of the system's own settings take.

Source: TrueNAS middleware 25.10 and 26, API models `service`, `ssh`, `ups`, `system_general`,
`system_advanced`, `cronjob`; 25.04 as its old schema has them.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from homelab_lib.twin.truenas.arguments.base import (
    Arguments,
    Ipv4,
    Ipv6,
    LongText,
    Name,
    Network,
    Port,
    Schedule,
    Text,
    absent,
    changes_of,
    unlike,
)


class ServiceOptions(Arguments):
    """How a service is started or stopped."""

    ha_propagate: bool = True
    silent: bool = True
    timeout: int | None = 120


class ServiceUpdate(Arguments):
    """Whether a service starts with the system."""

    enable: bool


Verb = Literal["START", "STOP", "RESTART", "RELOAD"]


class CronJobCreate(Arguments):
    """A command at set times."""

    enabled: bool = True
    stderr: bool = False
    stdout: bool = True
    schedule: Schedule = Schedule()
    command: Text
    description: Text = ""
    user: Text


CronJobUpdate = changes_of(CronJobCreate)


class Graphite(Arguments):
    """Where numbers are sent, in the one form that there is."""

    exporter_type: Literal["GRAPHITE"]
    destination_ip: Name
    destination_port: Annotated[int, Field(ge=1, le=65535)]
    prefix: Text = "scale"
    namespace: Name
    update_every: Annotated[int, Field(ge=1)] = 1
    buffer_on_failures: Annotated[int, Field(ge=1)] = 10
    send_names_instead_of_ids: bool = True
    matching_charts: Name = "*"


class ExporterCreate(Arguments):
    """Somebody to whom the NAS sends its numbers."""

    enabled: bool
    attributes: Graphite
    name: Text


ExporterUpdate = changes_of(ExporterCreate)


_FACILITIES = ("", "DAEMON", "USER", "AUTH", *(f"LOCAL{n}" for n in range(8)))


class Ssh(Arguments):
    """The SSH service."""

    bindiface: list[Text]
    tcpport: Port
    password_login_groups: list[Text]
    passwordauth: bool
    kerberosauth: bool
    tcpfwd: bool
    compression: bool
    sftp_log_level: Literal[
        "", "QUIET", "FATAL", "ERROR", "INFO", "VERBOSE", "DEBUG", "DEBUG2", "DEBUG3"
    ]  # fmt: skip
    sftp_log_facility: Literal[_FACILITIES]  # type: ignore[valid-type]
    weak_ciphers: list[Literal["AES128-CBC", "NONE"]]
    options: LongText


class Ups(Arguments):
    """The service that watches a UPS."""

    powerdown: bool
    rmonitor: bool
    nocommwarntime: int | None
    remoteport: Port
    shutdowntimer: int
    hostsync: int = Field(ge=0)
    description: Text
    driver: Text
    extrausers: LongText
    identifier: Name
    mode: Literal["MASTER", "SLAVE"]
    monpwd: Name
    monuser: Name
    options: LongText
    optionsupsd: LongText
    port: Text
    remotehost: Text
    shutdown: Literal["LOWBATT", "BATT"]
    shutdowncmd: Text | None


class General(Arguments):
    """Web interface, time zone, keyboard."""

    ui_certificate: int | None
    ui_httpsport: Port
    ui_httpsredirect: bool
    ui_httpsprotocols: Annotated[
        list[Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]],
        AfterValidator(unlike),
        Field(json_schema_extra={"uniqueItems": True}),
    ]
    ui_port: Port
    ui_address: list[Ipv4] = Field(min_length=1)
    ui_v6address: list[Ipv6] = Field(min_length=1)
    ui_allowlist: list[Network]
    ui_consolemsg: bool
    ui_x_frame_options: Literal["SAMEORIGIN", "DENY", "ALLOW_ALL"]
    kbdmap: Text
    timezone: Name
    usage_collection: bool | None
    ds_auth: bool
    ui_restart_delay: int | None = absent()
    rollback_timeout: int | None = absent()


class SyslogServer(Arguments):
    """Where the log is sent too."""

    host: Text
    transport: Literal["UDP", "TCP", "TLS"] = "UDP"
    tls_certificate: int | None = None


class Advanced(Arguments):
    """Console, kernel, log."""

    advancedmode: bool
    autotune: bool
    kdump_enabled: bool
    boot_scrub: int = Field(gt=0)
    consolemenu: bool
    consolemsg: bool
    debugkernel: bool
    fqdn_syslog: bool
    motd: Text
    login_banner: Annotated[str, Field(max_length=4096)]
    powerdaemon: bool
    serialconsole: bool
    serialport: Text
    serialspeed: Literal["9600", "19200", "38400", "57600", "115200"]
    overprovision: Annotated[int, Field(ge=0)] | None
    traceback: bool
    uploadcrash: bool
    anonstats: bool
    sed_user: Literal["USER", "MASTER"]
    sysloglevel: Literal[
        "F_EMERG", "F_ALERT", "F_CRIT", "F_ERR", "F_WARNING", "F_NOTICE", "F_INFO", "F_DEBUG"
    ]
    syslogservers: list[SyslogServer] = Field(max_length=2)
    syslog_audit: bool
    kernel_extra_options: Text
    sed_passwd: Text


class Advanced26(Advanced):
    """The same in 26, which keeps NVIDIA's driver here."""

    nvidia: bool


SshUpdate = changes_of(Ssh)
UpsUpdate = changes_of(Ups)
GeneralUpdate = changes_of(General)
AdvancedUpdate = changes_of(Advanced)
AdvancedUpdate26 = changes_of(Advanced26)
