"""API of the settings that are only kept: SSH, UPS, the system's own.

Source: TrueNAS middleware 25.04 to 26: `ssh`, `ups`, `system.general`, `system.advanced`.
"""

from homelab_lib.twin.truenas.arguments.system import (
    AdvancedUpdate,
    AdvancedUpdate26,
    GeneralUpdate,
    SshUpdate,
    UpsUpdate,
)
from homelab_lib.twin.truenas.errors import ValidationErrors
from homelab_lib.twin.truenas.kept import ALWAYS, Row, Settings
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.rpc import FANGTOOTH, HALFMOON

_AREAS = ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Etc")
_AREAS += ("Europe", "Indian", "Pacific", "US")

SSH_FRESH: Row = {
    "bindiface": [],
    "tcpport": 22,
    "password_login_groups": [],
    "passwordauth": False,
    "kerberosauth": False,
    "tcpfwd": False,
    "compression": False,
    "sftp_log_level": "",
    "sftp_log_facility": "",
    "weak_ciphers": [],
    "options": "",
    "privatekey": "",
    "host_key": None,
    "host_key_pub": None,
    **{
        f"host_{kind}_key{end}": None
        for kind in ("dsa", "ecdsa", "ed25519", "rsa")
        for end in ("", "_pub", "_cert_pub")
    },
}
UPS_FRESH: Row = {
    "powerdown": False,
    "rmonitor": False,
    "nocommwarntime": None,
    "remoteport": 3493,
    "shutdowntimer": 30,
    "hostsync": 15,
    "description": "",
    "driver": "",
    "extrausers": "",
    "identifier": "ups",
    "mode": "MASTER",
    "monpwd": "fixmepass",
    "monuser": "upsmon",
    "options": "",
    "optionsupsd": "",
    "port": "",
    "remotehost": "",
    "shutdown": "BATT",
    "shutdowncmd": "",
    "complete_identifier": "ups@localhost:3493",
}
GENERAL_FRESH: Row = {
    "ui_certificate": None,
    "ui_httpsport": 443,
    "ui_httpsredirect": False,
    "ui_httpsprotocols": ["TLSv1.2", "TLSv1.3"],
    "ui_port": 80,
    "ui_address": ["0.0.0.0"],
    "ui_v6address": ["::"],
    "ui_allowlist": [],
    "ui_consolemsg": False,
    "ui_x_frame_options": "SAMEORIGIN",
    "kbdmap": "us",
    "timezone": "America/Los_Angeles",
    "usage_collection": None,
    "usage_collection_is_set": False,
    "wizardshown": False,
    "ds_auth": False,
}
ADVANCED_FRESH: Row = {
    "advancedmode": False,
    "autotune": False,
    "kdump_enabled": False,
    "boot_scrub": 7,
    "consolemenu": True,
    "consolemsg": False,
    "debugkernel": False,
    "fqdn_syslog": False,
    "motd": "Welcome to TrueNAS",
    "login_banner": "",
    "powerdaemon": False,
    "serialconsole": False,
    "serialport": "ttyS0",
    "serialspeed": "9600",
    "overprovision": None,
    "traceback": True,
    "uploadcrash": True,
    "anonstats": True,
    "sed_user": "USER",
    "sysloglevel": "F_INFO",
    "syslogservers": [],
    "syslog_audit": False,
    "kernel_extra_options": "",
    "anonstats_token": "",
    "isolated_gpu_pci_ids": [],
}


def _check_ssh(nas: TrueNas, new: Row, place: str, given: Row) -> None:
    errors = ValidationErrors()
    names = {one.name for one in nas.interfaces}
    for number, name in enumerate(new["bindiface"]):
        if name not in names:
            errors.add(f"{place}.bindiface.{number}", f"{name}: no such interface")
    for number, name in enumerate(new["password_login_groups"]):
        if name not in nas.group_names():
            errors.add(f"{place}.password_login_groups.{number}", f"{name}: no such group")
    errors.check()


def _check_ups(nas: TrueNas, new: Row, place: str, given: Row) -> None:
    """Whoever watches a UPS has to know which, and how it is reached."""
    errors = ValidationErrors()
    if new["mode"] == "MASTER":
        wanted = {"port": "This field is required", "driver": "This field is required"}
    else:
        wanted = {"remotehost": "This field is required"}
    for key, text in wanted.items():
        if not new[key]:
            errors.add(f"{place}.{key}", text)
    errors.check()


def _check_general(nas: TrueNas, new: Row, place: str, given: Row) -> None:
    errors = ValidationErrors()
    if isinstance(new["ui_certificate"], int):
        errors.add(f"{place}.ui_certificate", "Certificate not found")
    area = new["timezone"].partition("/")[0]
    if area not in (*_AREAS, "UTC"):
        errors.add(f"{place}.timezone", "Timezone not known. Please select a valid timezone.")
    own = {one.address for one in nas.interfaces} | {"0.0.0.0"}
    for number, address in enumerate(new["ui_address"]):
        if address not in own:
            text = f"{address} ipv4 address is not associated with this machine"
            errors.add(f"{place}.ui_address.{number}", text)
    if new["ui_port"] == new["ui_httpsport"]:
        errors.add(f"{place}.ui_port", "Must be different from HTTPS port")
    errors.check()


ALL = (
    Settings(
        "ssh",
        {FANGTOOTH: SshUpdate},
        {FANGTOOTH: SSH_FRESH},
        {FANGTOOTH: "data"},
        check=_check_ssh,
    ),
    Settings(
        "ups",
        {FANGTOOTH: UpsUpdate, HALFMOON: UpsUpdate},
        {FANGTOOTH: UPS_FRESH},
        {FANGTOOTH: "ups_update", HALFMOON: "data"},
        left_out_until=HALFMOON,
        check=_check_ups,
    ),
    Settings(
        "system.general",
        {FANGTOOTH: GeneralUpdate},
        {FANGTOOTH: GENERAL_FRESH, HALFMOON: GENERAL_FRESH | {"ui_certificate_name": None}},
        {FANGTOOTH: "general_settings"},
        left_out_until=ALWAYS,
        check=_check_general,
    ),
    Settings(
        "system.advanced",
        {FANGTOOTH: AdvancedUpdate, HALFMOON: AdvancedUpdate26},
        {FANGTOOTH: ADVANCED_FRESH, HALFMOON: ADVANCED_FRESH | {"nvidia": False}},
        {FANGTOOTH: "data"},
        secret=("sed_passwd",),
    ),
)
for _settings in ALL:
    _settings.register()
