"""An OPNsense of the twin in the state in which the real ones gave their verdicts."""

import base64
import json
from functools import cache
from typing import Any

from homelab_lib.lab import Lab, load_lab
from homelab_lib.twin.machine.https import Asked
from homelab_lib.twin.opnsense.api import Api
from homelab_lib.twin.opnsense.endpoints import endpoints
from homelab_lib.twin.opnsense.factory import Assigned, VlanDevice, factory
from homelab_lib.twin.opnsense.firewall import Device, OpnSense
from homelab_lib.twin.world import World

_AUTH = "Basic " + base64.b64encode(b"key:secret-of-the-tests").decode()
_DEVICES = ("igc0", "ix0", "ix1", "igc1", "igc2")
_MACS = {name: f"00:0c:29:00:00:0{number}" for number, name in enumerate(_DEVICES, 1)}


@cache
def _lab() -> Lab:
    return load_lab()


def box(version: str) -> OpnSense:
    """The firewall that the contract's README describes."""
    firewall = OpnSense("fw", World(_lab()), user="root", version=version)
    firewall.devices = [Device(name, mac) for name, mac in _MACS.items()]
    firewall.devices += [Device("lo0", physical=False), Device("pflog0", physical=False)]
    assigned = [
        Assigned("wan", "igc0", "dhcp"),
        Assigned("lan", "ix0", "10.0.1.1/24"),
        Assigned("opt1", "vlan0.10", "10.0.10.1/24", "TRUSTED"),
        Assigned("opt2", "vlan0.20", "10.0.20.1/24", "IOT"),
    ]
    vlans = [VlanDevice("ix0", tag, f"vlan0.{tag}", n) for tag, n in ((10, "TRUSTED"), (20, "IOT"))]
    firewall.config.put(factory(firewall.release, assigned, vlans, ssh=False))
    firewall.routers["igc0"] = "203.0.113.1"
    firewall.serve(Api(firewall, endpoints(firewall.release)))
    firewall.apply_all()
    return firewall


def ask(firewall: OpnSense, method: str, path: str, body: Any = None, kind: str = "json") -> Any:
    """Send a request; status and answer."""
    path, _, query = path.partition("?")
    headers = {"authorization": _AUTH}
    sent = b""
    if body is not None:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        if kind:
            headers["content-type"] = {"json": "application/json", "form": FORM}.get(kind, kind)
    pairs = dict(pair.partition("=")[::2] for pair in query.split("&") if pair)
    answered = firewall.https[443](Asked(method, path, pairs, headers, sent))
    text = answered.body if isinstance(answered.body, str) else answered.body.decode()
    try:
        return answered.status, json.loads(text)
    except ValueError:
        return answered.status, {"_raw": text}


FORM = "application/x-www-form-urlencoded"


def kept(firewall: OpnSense, uuid: str) -> Any:
    """What the configuration holds of a row; None for nothing."""
    found = next((e for e in firewall.config.load().iter() if e.get("uuid") == uuid), None)
    return None if found is None else _values(found)


def _values(element: Any) -> dict[str, Any]:
    return {each.tag: _values(each) if len(each) else each.text or "" for each in element}
