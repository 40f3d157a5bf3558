"""API of what tells a person of trouble: mail, alert services, and the tests of disks.

Source: TrueNAS middleware 25.04 to 26: `alertservice`, `mail`; `smart.test` as 25.04 had it.
"""

import errno

from homelab_lib.twin.truenas.arguments.alerts import (
    KINDS,
    AlertServiceCreate,
    MailUpdate,
    OldAlertServiceCreate,
    SmartTestCreate,
    SmartTestUpdate,
)
from homelab_lib.twin.truenas.errors import ValidationErrors
from homelab_lib.twin.truenas.kept import Family, Row, Settings
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.rpc import FANGTOOTH, GOLDEYE, method

_TITLES = {"AWSSNS": "AWS SNS", "Mail": "Email", "SNMPTrap": "SNMP Trap"}
_LEVELS = ("INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
MAIL_FRESH: Row = {
    "fromemail": "",
    "fromname": "",
    "outgoingserver": "",
    "port": 25,
    "security": "PLAIN",
    "smtp": False,
    "user": None,
    "pass": None,
    "oauth": None,
}


def _service(nas: TrueNas, row: Row, place: str, others: list[Row]) -> None:
    if nas.release >= GOLDEYE:
        return  # its form says it all
    if row["type"] not in KINDS:
        text = "This type does not exist"
        raise ValidationErrors.one(f"{place}.type", text, errno.ENOENT)
    if row["level"] not in _LEVELS:
        raise ValidationErrors.one(f"{place}.level", "Invalid choice")


def _service_shown(nas: TrueNas, row: Row) -> Row:
    kind = row["attributes"]["type"] if nas.release >= GOLDEYE else row["type"]
    return {"type__title": _TITLES.get(kind, kind)}


@method("alertservice.test", {"alert_service_create": AlertServiceCreate}, since=GOLDEYE)
@method("alertservice.test", {"alert_service_create": OldAlertServiceCreate}, until=GOLDEYE)
def alertservice_test(nas: TrueNas, data: Row) -> bool:
    """Send one alert, to see that it gets there."""
    return True


def _test(nas: TrueNas, row: Row, place: str, others: list[Row]) -> None:
    errors = ValidationErrors()
    known = {disk.identifier: disk.name for disk in nas.disks.values()}
    for number, disk in enumerate(row["disks"]):
        if disk not in known:
            errors.add(f"{place}.disks.{number}", f"The following disk is not found: {disk}")
    if not row["all_disks"] and not row["disks"]:
        errors.add(f"{place}.disks", "This field is required")
    for other in (each for each in others if each["type"] == row["type"]):
        both = set(row["disks"]) & set(other["disks"])
        if other["all_disks"]:
            errors.add(f"{place}.type", f"There already exists an all-disks {row['type']} test")
        elif both or (row["all_disks"] and other["disks"]):
            names = ", ".join(sorted(known.get(disk, disk) for disk in both or other["disks"]))
            text = f"The following disks already have {row['type']} test: {names}"
            errors.add(f"{place}.disks", text)
    errors.check()


def _mail(nas: TrueNas, new: Row, place: str, given: Row) -> None:
    errors = ValidationErrors()
    if new["smtp"] and not new["user"]:
        text = "This field is required when SMTP authentication is enabled"
        errors.add(f"{place}.user", text)
    errors.check()


ALERT_SERVICES = Family(
    "alertservice",
    "AlertService",
    "alert_service",
    {FANGTOOTH: OldAlertServiceCreate, GOLDEYE: AlertServiceCreate},
    {FANGTOOTH: OldAlertServiceCreate, GOLDEYE: AlertServiceCreate},
    check=_service,
    shown=_service_shown,
    argument="",
)
TESTS = Family(
    "smart.test",
    "SMARTTest",
    "smart_test",
    {FANGTOOTH: SmartTestCreate},
    {FANGTOOTH: SmartTestUpdate},
    check=_test,
    argument="",
    until=GOLDEYE,
)
MAIL = Settings(
    "mail",
    {FANGTOOTH: MailUpdate, GOLDEYE: MailUpdate},
    {FANGTOOTH: MAIL_FRESH},
    {FANGTOOTH: "mail_update", GOLDEYE: "data"},
    check=_mail,
)
ALERT_SERVICES.register()
TESTS.register()
MAIL.register()
