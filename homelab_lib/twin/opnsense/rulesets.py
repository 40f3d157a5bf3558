"""Rulesets that the appliance can fetch for Suricata, as it lists them."""

from dataclasses import dataclass

from homelab_lib.twin.machine.appliance import Release

_EMERGING = """
    activex adware_pup attack_response chat coinminer current_events deleted dns dos dyn_dns
    exploit exploit_kit file_sharing ftp games hunting icmp icmp_info imap inappropriate info
    ja3 malware misc mobile_malware netbios p2p phishing policy pop3 remote_access retired rpc
    scada scan shellcode smtp snmp sql ta_abused_services telnet tftp user_agents voip
    web_client web_server web_specific_apps worm
""".split()  # noqa: SIM905 - one a line would be hundreds of lines
_OTHER = """
    botcc botcc.portgrouped ciarmy compromised drop dshield threatview_CS_c2 tor
""".split()  # noqa: SIM905 - one a line would be hundreds of lines
_ABUSE = (
    ("feodotracker", "Feodo Tracker", "feodotracker.abuse.ch/blocklist/"),
    ("sslblacklist", "SSL Fingerprint Blacklist", "sslbl.abuse.ch/blacklist/"),
    ("sslipblacklist", "SSL IP Blacklist", "sslbl.abuse.ch/blacklist/"),
    ("threatfox", "ThreatFox", "threatfox.abuse.ch/"),
    ("urlhaus", "URLhaus", "urlhaus.abuse.ch/"),
)
_APPS = (
    *(("file_transfer", "file-transfer"), ("mail", "mail")),
    *(("media_streaming", "media-streaming"), ("messaging", "messaging")),
    *(("social_media", "social-networking"), ("test", "test")),
)
_NEW_APP, _OLD_APP = ("adult", "adult"), ("uncategorized", "uncategorized")
_ET_PAGE = "community.emergingthreats.net/t/frequently-asked-questions/56"
_APP_PAGE = "github.com/opnsense/rules"


@dataclass(frozen=True)
class Ruleset:
    """One file of rules.

    Parameters
    ----------
    filename
        Its name.
    description
        Whose it is, and what it is about.
    page
        Where that is explained.
    """

    filename: str
    description: str
    page: str


def rulesets(release: Release) -> dict[str, Ruleset]:
    """Rulesets by their file names.

    Parameters
    ----------
    release
        The series: those for applications are not the same in all.
    """
    found = [Ruleset(f"abuse.ch.{n}.rules", f"abuse.ch/{d}", page) for n, d, page in _ABUSE]
    names = [*_OTHER, *(f"emerging-{name}" for name in _EMERGING)]
    found += [Ruleset(f"{name}.rules", f"ET open/{name}", _ET_PAGE) for name in names]
    apps = [*_APPS, _NEW_APP if release >= (26, 7) else _OLD_APP]
    found += [
        Ruleset(f"opnsense.{n}.rules", f"OPNsense-App-detect/{d}", _APP_PAGE) for n, d in apps
    ]
    return {each.filename: each for each in sorted(found, key=lambda each: each.filename)}
