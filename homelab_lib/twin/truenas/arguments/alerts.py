"""What the methods of alerts, mail and disks' tests take.

Source: TrueNAS middleware 25.04 to 26, API models `alertservice` and `mail`; 25.04 as its old
schema has mail and the tests of disks.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from homelab_lib.twin.truenas.arguments.base import (
    Arguments,
    LongText,
    Name,
    Port,
    Schedule,
    Text,
    absent,
    changes_of,
)

_LEVELS = ("INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
KINDS = ("AWSSNS", "InfluxDB", "Mail", "Mattermost", "OpsGenie", "PagerDuty", "Slack", "SNMPTrap",
         "Telegram", "VictorOps")  # fmt: skip


def _address(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+\S*", value, re.ASCII):
        raise ValueError("Input should be a valid URL")
    return value


Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2083),
    AfterValidator(_address),
    Field(json_schema_extra={"format": "uri"}),
]
MaybeUrl = Literal[""] | Url
_MaybeName = Name | None


class AwsSns(Arguments):
    """A topic of Amazon's."""

    type: Literal["AWSSNS"]
    region: Name
    topic_arn: Name
    aws_access_key_id: Name
    aws_secret_access_key: Name


class InfluxDb(Arguments):
    """A series in a database."""

    type: Literal["InfluxDB"]
    host: Name
    username: Name
    password: Name
    database: Name
    series_name: Name


class MailService(Arguments):
    """A mail, to whom the administrator's go unless it says to whom."""

    type: Literal["Mail"]
    email: Text = ""


class Mattermost(Arguments):
    """A channel of Mattermost's."""

    type: Literal["Mattermost"]
    url: Url
    username: Name
    channel: Text = ""
    icon_url: MaybeUrl = ""


class OpsGenie(Arguments):
    """OpsGenie."""

    type: Literal["OpsGenie"]
    api_key: Name
    api_url: MaybeUrl = ""


class PagerDuty(Arguments):
    """PagerDuty."""

    type: Literal["PagerDuty"]
    service_key: Name
    client_name: Name


class Slack(Arguments):
    """Slack."""

    type: Literal["Slack"]
    url: Url


class SnmpTrap(Arguments):
    """A trap of SNMP's."""

    type: Literal["SNMPTrap"]
    host: Text
    port: Port
    v3: bool
    community: _MaybeName = None
    v3_username: _MaybeName = None
    v3_authkey: _MaybeName = ""
    v3_privkey: _MaybeName = ""
    v3_authprotocol: Literal[
        None, "MD5", "SHA", "128SHA224", "192SHA256", "256SHA384", "384SHA512"
    ] = None
    v3_privprotocol: Literal[
        None, "DES", "3DESEDE", "AESCFB128", "AESCFB192", "AESCFB256", "AESBLUMENTHALCFB192",
        "AESBLUMENTHALCFB256",
    ] = None  # fmt: skip


class Telegram(Arguments):
    """Chats of Telegram's."""

    type: Literal["Telegram"]
    bot_token: Name
    chat_ids: list[int] = Field(min_length=1)


class VictorOps(Arguments):
    """VictorOps."""

    type: Literal["VictorOps"]
    api_key: Name
    routing_key: Name


_Attributes = Annotated[
    AwsSns
    | InfluxDb
    | MailService
    | Mattermost
    | OpsGenie
    | PagerDuty
    | Slack
    | SnmpTrap
    | Telegram
    | VictorOps,
    Field(discriminator="type"),
]


class AlertServiceCreate(Arguments):
    """Where trouble is reported."""

    name: Name
    attributes: _Attributes
    level: Literal[_LEVELS]  # type: ignore[valid-type]
    enabled: bool = True


class OldAlertServiceCreate(Arguments):
    """The same in 25.04."""

    name: Name
    type: Text
    attributes: dict[str, Any]
    level: Text
    enabled: bool = True


class OAuth(Arguments):
    """A login of somebody else's."""

    provider: Text
    client_id: Text
    client_secret: Text
    refresh_token: LongText


class Empty(Arguments):
    """Nothing."""


class Mail(Arguments):
    """How mail is sent."""

    fromemail: Text
    fromname: Text
    outgoingserver: Text
    port: int
    security: Literal["PLAIN", "SSL", "TLS"]
    smtp: bool
    user: Text | None
    oauth: OAuth | Empty | None


_password: dict[str, Any] = {"pass": (Text | None, absent())}
MailUpdate = changes_of(Mail, **_password)


class SmartTestCreate(Arguments):
    """A test of disks at set times."""

    schedule: Schedule = Field(default_factory=Schedule)
    all_disks: bool = False
    disks: list[Text] = Field([])
    type: Literal["LONG", "SHORT", "CONVEYANCE", "OFFLINE"]
    desc: Text = ""


SmartTestUpdate = changes_of(SmartTestCreate)
