"""The web interface of an OPNsense, as other machines see it: its certificate, and its API.

Source: opnsense/core, ``src/etc/inc/plugins.inc.d/webgui.inc``: lighttpd on every address, by a
certificate that it has issued itself for 397 days. It makes one by itself only where it has none,
so that one which ends is renewed by a person (``rc.restart_webgui renew``), with another key.
"""

from functools import cache

from homelab_lib.twin.machine.certificates import drawn, issued
from homelab_lib.twin.machine.https import Asked
from homelab_lib.twin.machine.surroundings import BODY, FROM, METHOD
from homelab_lib.twin.opnsense.firewall import OpnSense

WEB_PORT = 443
WEB_DAYS = 397.0
_DAY_S = 86_400.0
_OURS = (METHOD, BODY, FROM)


def shows(box: OpnSense, *, days: float, key: int = 0) -> None:
    """Have it show a certificate that it has issued itself.

    Parameters
    ----------
    box
        The firewall.
    days
        How long that is good from now on [days].
    key
        Which of the keys that it has made in its life.
    """
    now_s, seed = box.world.clock.now(), f"{box.world.seed}/{box.name}/web"

    @cache
    def pem() -> str:
        own = drawn(f"{seed}/{key}")
        name = f"{box.name}.internal"
        return issued([name], own, None, now_s=now_s, valid_s=days * _DAY_S).pem

    box.tls[WEB_PORT] = lambda name: pem()


def answers(box: OpnSense) -> None:
    """Have its API answer whoever comes by the network."""

    def page(path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        path, _, _ = path.partition("?")
        if not path.startswith("/api/"):
            return 200, b"<html></html>"
        body = headers.get(BODY, "").encode()
        given = {name: value for name, value in headers.items() if name not in _OURS}
        asked = Asked(headers.get(METHOD, "GET"), path, {}, given, body)
        answered = box.https[WEB_PORT](asked)
        said = answered.body
        return answered.status, said.encode() if isinstance(said, str) else said

    box.http[WEB_PORT] = page
