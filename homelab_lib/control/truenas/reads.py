"""Which calls of TrueNAS's middleware only read, by the names of its methods."""

import re
from collections.abc import Sequence

from homelab_lib.transport.reads import declare

_METHOD = re.compile(
    r"(?:[\w.]+\.)?(?:query|get_instance|config|get_jobs|get_state|get_disks|get_unused|details|"
    r"import_find|checkin_waiting|has_pending_changes|network_config_to_be_removed|"
    r"default_route_will_be_removed|(?:\w+_)?choices|info|ready|version|state|status|list|started|"
    r"temperatures|listdir|stat|statfs|getacl)"
)

_JOBS_THAT_LOOK = ("pool.import_find",)


def _midclt(words: Sequence[str]) -> bool:
    match words:
        case ["call", "-j", method, *arguments]:
            plain = not any(argument.startswith("-") for argument in arguments)
            return plain and method in _JOBS_THAT_LOOK
        case ["call", method, *arguments]:
            plain = not any(argument.startswith("-") for argument in arguments)
            return plain and _METHOD.fullmatch(method) is not None
    return False


declare("midclt", _midclt)
