"""Lists of names that Unbound can block, as the appliance offers them."""

from typing import Any

_BY_GROUP = {
    "General Blocklists": {
        "atf": "Abuse.ch - ThreatFox IOC",
        "ag": "AdGuard List",
        "el": "EasyList",
        "ep": "EasyPrivacy",
        "sb": "Steven Black List",
        "yy": "YoYo List",
    },
    "Hagezi Multi - Clean the Internet": {
        "hgz001": "LIGHT - Relaxed Blocking",
        "hgz002": "NORMAL - Relaxed/Balanced Blocking",
        "hgz003": "PRO - Balanced Blocking",
        "hgz005": "PRO++ - Balanced/Aggressive Blocking",
        "hgz007": "ULTIMATE - Aggressive Blocking",
    },
    "OISD Blocklists": {
        "oisd0": "Ads Blocklist",
        "oisd1": "Big Blocklist (incl. Ads)",
        "oisd2": "NSFW Blocklist",
    },
    "Hagezi Targeted Lists": {
        "hgz011": "Threat Intelligence Feeds",
        "hgz009": "Fake - scams / fakes",
        "hgz010": "Pop-Up Ads",
        "hgz014": "DoH/VPN/TOR/Proxy Bypass",
        "hgz015": "Safesearch not supported",
        "hgz016": "Dynamic DNS blocking",
        "hgz017": "Badware Hoster blocking",
        "hgz018": "Anti Piracy",
        "hgz019": "Gambling",
        "hgz022": "Social Networks",
    },
    "Minimal Hardware Requirements": {
        "hgz004": "Multi PRO - Mini",
        "hgz006": "Multi PRO++ - Mini",
        "hgz008": "Multi ULTIMATE - Mini",
        "hgz012": "Threat Intelligence Feeds - Medium",
        "hgz013": "Threat Intelligence Feeds - Mini",
        "hgz020": "Gambling - Medium",
        "hgz021": "Gambling - Mini",
    },
}

BLOCKLISTS: dict[str, Any] = {
    name: {"value": called, "optgroup": group}
    for group, lists in _BY_GROUP.items()
    for name, called in lists.items()
}
