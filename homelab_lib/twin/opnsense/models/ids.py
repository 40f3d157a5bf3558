"""Suricata: rulesets, policies over them, own rules, and how packets are looked at."""

from homelab_lib.twin.opnsense.fields.base import Leaf
from homelab_lib.twin.opnsense.fields.choices import (
    Interface,
    Listed,
    Offer,
    Option,
    Relation,
    same,
)
from homelab_lib.twin.opnsense.fields.network import Network
from homelab_lib.twin.opnsense.fields.numbers import Boolean, Integer
from homelab_lib.twin.opnsense.fields.texts import Description, Text
from homelab_lib.twin.opnsense.model import Model, Section, Table

PROPERTIES = {
    "affected_product": ("Any", "Windows_XP_Vista_7_8_10_Server_32_64_Bit"),
    "attack_target": ("Client_Endpoint", "Server"),
    "classtype": ("trojan-activity", "policy-violation"),
    "deployment": ("Perimeter",),
    "signature_severity": ("Critical", "Major", "Minor", "Informational"),
    "action": ("alert", "drop"),
    "tag": ("Phishing",),
}
"""What rules say of themselves, and the values that come most."""

_PLAIN = "/^([\\t\\n\\v\\f\\r\\- 0-9a-zA-Z.,_\u00a0-\uffff]){1,255}$/u"


def _properties(leaf: Leaf) -> Offer:
    return {f"{name}.{value}": value for name, values in PROPERTIES.items() for value in values}


IDS = Model(
    "IDS.IDS",
    "//OPNsense/IDS",
    {
        "rules": Section(
            {
                "rule": Table(
                    {
                        "sid": Integer(message="Sid should be a number.", required=True),
                        "enabled": Boolean(default="1", required=True),
                        "action": Option(
                            required=True,
                            default="alert",
                            options={"alert": "Alert", "drop": "Drop"},
                        ),
                        "msg": Text(volatile=True),
                        "source": Text(volatile=True),
                    }
                ),
            }
        ),
        "policies": Section(
            {
                "policy": Table(
                    {
                        "enabled": Boolean(default="1", required=True),
                        "prio": Integer(
                            message="Priority should be a number.", required=True, default="0"
                        ),
                        "action": Option(
                            multiple=True,
                            options={"disable": "Disabled", "alert": "Alert", "drop": "Drop"},
                        ),
                        "rulesets": Relation(
                            items="files.file",
                            display=("filename",),
                            where={"enabled": "/1/"},
                            multiple=True,
                            message="Related ruleset not found.",
                        ),
                        "content": Listed(
                            make=_properties, multiple=True, message="Policy rule not found."
                        ),
                        "new_action": Option(
                            required=True,
                            default="alert",
                            options={
                                "default": "Default",
                                "alert": "Alert",
                                "drop": "Drop",
                                "disable": "Disable",
                            },
                        ),
                        "description": Description(),
                    }
                ),
            }
        ),
        "userDefinedRules": Section(
            {
                "rule": Table(
                    {
                        "enabled": Boolean(default="1", required=True),
                        "source": Network(),
                        "destination": Network(),
                        "fingerprint": Text(
                            mask="/^([0-9a-fA-F:]){59,59}$/u",
                            message="A SSL fingerprint should be a 59 character long hex value.",
                        ),
                        "description": Description(required=True),
                        "action": Option(
                            required=True,
                            default="alert",
                            options={"alert": "Alert", "drop": "Drop", "pass": "Pass"},
                        ),
                        "bypass": Boolean(required=True),
                    }
                ),
            }
        ),
        "files": Section(
            {
                "file": Table(
                    {
                        "filename": Text(required=True, mask=_PLAIN),
                        "enabled": Boolean(required=True),
                    }
                ),
            }
        ),
        "fileTags": Section(
            {
                "tag": Table(
                    {
                        "property": Text(required=True, mask=_PLAIN),
                        "value": Text(mask=_PLAIN),
                    }
                ),
            }
        ),
        "general": Section(
            {
                "enabled": Boolean(required=True),
                "mode": Option(
                    required=True,
                    default="pcap",
                    options={
                        "pcap": "PCAP live mode (IDS)",
                        "netmap": "Netmap (IPS)",
                        "divert": "Divert (IPS)",
                    },
                    message="Please select a valid mode.",
                ),
                "divert_listeners": Integer(1, 256, required=True, default="1"),
                "promisc": Boolean(required=True),
                "interfaces": Interface(
                    required=True,
                    default="wan",
                    multiple=True,
                    parents=True,
                    where={"enable": "/^(?!0).*$/", "type": "/(?s)^((?!group).)*$/"},
                ),
                "homenet": Network(
                    required=True, default="192.168.0.0/16,10.0.0.0/8,172.16.0.0/12", as_list=True
                ),
                "defaultPacketSize": Integer(82, 65535, message="Enter a valid packet size."),
                "UpdateCron": Relation(
                    model="Cron.Cron",
                    items="jobs.job",
                    display=("description",),
                    where={"origin": "/IDS/"},
                    message="Related cron not found.",
                ),
                "AlertLogrotate": Option(
                    required=True,
                    default="W0D23",
                    options={"W0D23": "Weekly", "D0": "Daily"},
                    message="Please select a valid rotation.",
                ),
                "AlertSaveLogs": Integer(
                    1,
                    1000,
                    required=True,
                    default="4",
                    message="Enter a valid number of logs to save.",
                ),
                "MPMAlgo": Option(
                    blank="Default",
                    options={
                        "ac": "Aho-Corasick",
                        "ac-ks": 'Aho-Corasick, "Ken Steele" variant',
                        "hs": "Hyperscan",
                    },
                    message="Please select a valid pattern matcher algorithm.",
                ),
                "detect": Section(
                    {
                        "Profile": Option(
                            blank="Default",
                            options={
                                "low": "Low",
                                "medium": "Medium",
                                "high": "High",
                                "custom": "Custom",
                            },
                            message="Please select a valid detection profile.",
                        ),
                        "toclient_groups": Integer(
                            0, 65535, message="Enter a valid toclient-groups size."
                        ),
                        "toserver_groups": Integer(
                            0, 65535, message="Enter a valid toserver-groups size."
                        ),
                    }
                ),
                "syslog": Boolean(required=True),
                "syslog_eve": Boolean(required=True),
                "LogPayload": Boolean(required=True),
                "verbosity": Option(
                    blank="DEFAULT (0)",
                    options={
                        "v": "INFO (1)",
                        "vv": "PERF (2)",
                        "vvv": "CONFIG (3)",
                        "vvvv": "DEBUG (4)",
                    },
                ),
                "eveLog": Section(
                    {
                        "http": Section(
                            {
                                "enable": Boolean(required=True),
                                "extended": Boolean(required=True),
                                "dumpAllHeaders": Option(
                                    options={
                                        "request": "Request",
                                        "response": "Response",
                                        "both": "Both",
                                    }
                                ),
                            }
                        ),
                        "tls": Section(
                            {
                                "enable": Boolean(required=True),
                                "extended": Boolean(required=True),
                                "sessionResumption": Boolean(required=True),
                                "custom": Option(
                                    multiple=True,
                                    options=same(
                                        "subject issuer session_resumed serial fingerprint sni "
                                        "version not_before not_after certificate chain ja3 ja3s "
                                        "ja4"
                                    ),
                                ),
                            }
                        ),
                    }
                ),
            }
        ),
    },
    version="1.1.2",
    title="Intrusion detection",
)
