"""cron: when the system daemon's actions run."""

from homelab_lib.twin.opnsense.fields.choices import Option
from homelab_lib.twin.opnsense.fields.numbers import Boolean
from homelab_lib.twin.opnsense.fields.texts import Description, Text
from homelab_lib.twin.opnsense.model import Model, Section, Table
from homelab_lib.twin.opnsense.order import natural

_DESCRIBED = {
    "captiveportal restart": "Restart Captive Portal service",
    "cron restart": "Restart Cron service",
    "dns reload": "Reload system DNS resolver configuration",
    "dnsmasq restart": "Restart Dnsmasq service",
    "filter refresh_aliases": "Update and reload firewall aliases",
    "filter update bogons": "Update bogons database",
    "filter update geoip": "Update GeoIP database",
    "firmware auto-update": "Automatic firmware update",
    "firmware changelog cron": "Firmware changelog update",
    "firmware poll": "Firmware update check",
    "hostwatch restart": "Restart host discovery daemon",
    "ids reload": "Reload intrusion detection rules",
    "ids restart": "Restart Intrusion Detection service",
    "ids update": "Update and reload intrusion detection rules",
    "interface reconfigure": "Periodic interface reset",
    "interface routes alarm": "Manual gateway switch",
    "ipsec reload": "Reload IPsec service",
    "ipsec restart": "Restart IPsec service",
    "kea restart": "Restart kea daemon",
    "monit restart": "Restart Monit service",
    "netflow restart": "Restart NetFlow service",
    "openssh restart": "Restart OpenSSH service",
    "openvpn restart": "Restart OpenVPN instance",
    "radvd restart": "Restart Radvd service",
    "syslog archive": "Rotate log files",
    "syslog restart": "Restart System Logging service",
    "system ha_reconfigure_backup": "HA update and reconfigure backup",
    "system halt": "Halt and power off the system",
    "system reboot": "Reboot the system",
    "system remote backup": "Remote backup",
    "unbound dnsbl": "Update Unbound DNSBLs",
    "unbound restart": "Restart Unbound DNS service",
    "webgui restart": "Restart web GUI service",
    "wireguard renew": "Renew DNS for WireGuard on stale connections",
    "wireguard restart": "Restart WireGuard",
    "zfs scrub": "ZFS pool scrub",
    "zfs trim": "ZFS pool trim",
}
ACTIONS = dict(sorted(_DESCRIBED.items(), key=lambda item: natural(item[1])))
"""Actions of the system daemon that have a description: no others may be chosen."""

CRON = Model(
    "Cron.Cron",
    "//OPNsense/cron",
    {
        "jobs": Section(
            {
                "job": Table(
                    {
                        "origin": Text(
                            required=True,
                            default="cron",
                            mask="/^([a-z,A-Z,1-9]){0,30}$/",
                            message="Origin should be regular text of max 30 characters.",
                        ),
                        "enabled": Boolean(default="1", required=True),
                        "minutes": Text(
                            default="0",
                            required=True,
                            mask=r"/^((?:\*|[1-5][0-9]|0[0-9]|[0-9])(,{1}|-{1}|\/{1}|$))+$/",
                            message="Value needs to be between 0 and 59; multiple values, ranges, "
                            "steps and asterisk are supported (ex. 1,10,20,30 or 1-30).",
                        ),
                        "hours": Text(
                            default="0",
                            required=True,
                            mask=r"/^((?:\*|([1][0-9]|[2][0-3])|0[0-9]|[0-9])(,{1}|-{1}|\/{1}|"
                            r"$))+$/",
                            message="Value needs to be between 0 and 23; multiple values, ranges, "
                            "steps and asterisk are supported (ex. 1,2,8 or 0-8).",
                        ),
                        "days": Text(
                            default="*",
                            required=True,
                            mask=r"/^(((?:\*|[1-2][0-9]|0[1-9]|[1-9]|[3][0-1])(,{1}|-{1}|\/{1}|"
                            r"$))+|L)$/",
                            message="Value needs to be between 1 and 31; multiple values, ranges, "
                            "L (last day of month), steps and asterisk are supported (ex. 1,2,8 "
                            "or 1-28).",
                        ),
                        "months": Text(
                            default="*",
                            required=True,
                            mask=r"/^(((?:\*|[1][0-2]|0[1-9]|[1-9]|JAN|FEB|MAR|APR|MAY|JUN|JUL|"
                            r"AUG|SEP|OCT|NOV|DEC)(,{1}|-{1}|\/{1}|$))+)$/",
                            message="Value needs to be between 1 and 12 or JAN to DEC, multiple "
                            "values, ranges, steps and asterisk are supported (ex. JAN,2,10 or "
                            "3-8).",
                        ),
                        "weekdays": Text(
                            default="*",
                            required=True,
                            mask=r"/^(((?:\*|[0-7])(,{1}|-{1}|\/{1}|$))+)$/",
                            message="Value needs to be between 0 and 7 (Sunday to Sunday), "
                            "multiple values, ranges, steps and asterisk are supported (ex. 1,2,4 "
                            "or 0-4).",
                        ),
                        "who": Text(default="root", required=True),
                        "command": Option(
                            ACTIONS, required=True, message="Select a command from the list."
                        ),
                        "parameters": Text(mask="/^(.){1,1023}$/s", message="Input too long."),
                        "description": Description(required=True),
                    }
                ),
            }
        ),
    },
    version="1.0.4",
    title="Cron settings",
)
