"""Which calls of an OPNsense only read: of its API, and of its own programs."""

import re
from collections.abc import Mapping, Sequence

from homelab_lib.transport.options import Allowed
from homelab_lib.transport.reads import declare, declare_service

SERVICE = "opnsense"

_ACTION = re.compile(
    r"/api/\w+/\w+/"
    r"(?:get\w*|search\w*|list\w*|status|running|show|info|backups|download|providers|interfaces_?info)"
    r"(?:/(?!\.+(?:/|$))[\w.-]+)*",
    re.IGNORECASE,
)
"""Actions by their names; each ignores what it is told when it is asked by GET."""


def _request(method: str, path: str, query: Mapping[str, str]) -> bool:
    return method == "GET" and _ACTION.fullmatch(path) is not None


def _pluginctl(words: Sequence[str]) -> bool:
    """``pluginctl -g PATH`` prints a part of the configuration."""
    match words:
        case ["-g", path]:
            return bool(path) and not path.startswith("-")
    return False


def _ifconfig(words: Sequence[str]) -> bool:
    """All devices, or one: what follows a device's name may change it."""
    names = [word for word in words if not word.startswith("-")]
    return len(names) < 2 and set(words) <= {*names, "-a", "-l", "-v"}


declare_service(SERVICE, _request)
declare("opnsense-version", Allowed("", "-A -a -e -i -N -n -t -V -v -w"))
declare("pluginctl", _pluginctl)
declare("pfctl", lambda words: list(words) in (["-sr"], ["-si"], ["-sn"], ["-ss"]))
declare("pgrep", Allowed("", "-a -f -i -l -n -o -q -x"))
declare("printenv", Allowed("", also=lambda words: len(words.operands) == 1))
declare("sockstat", Allowed("", "-4 -6 -l", "-p -P"))
declare("sha256", Allowed("", "-q -r"))
declare("ifconfig", _ifconfig)
declare("pciconf", Allowed("", "-l -v -b -c -e -lv"))
declare("geom", Allowed("disk list,disk status"))
declare("arp", Allowed("", "-a -n", "-i"))  # -d forgets neighbours, -s and -f write them
