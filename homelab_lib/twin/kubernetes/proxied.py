"""What the API server hands on to a service: ``kubectl get --raw …/services/…/proxy/…``.

Source: kubernetes.io, access services running on clusters; apiserver `pkg/registry/rest/proxy.go`.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from homelab_lib.twin.kubernetes import monitoring
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.ingress import endpoints
from homelab_lib.twin.kubernetes.objects import ApiError, Object

_PLACE = re.compile(
    r"/api/v1/namespaces/(?P<space>[^/]+)/services/(?:https?:)?(?P<name>[^/:]+)(?::(?P<port>[^/]+))?"
    r"/proxy/(?P<path>[^?]*)\??(?P<query>.*)"
)
Page = Callable[[Cluster, Object, str, Mapping[str, str]], tuple[int, Any] | None]
PAGES: tuple[Page, ...] = (monitoring.answer,)
"""Who may answer for a pod: the first that does."""


def answered(cluster: Cluster, raw: str) -> str | None:
    """What a service says; None where the path is none of a service.

    Raises
    ------
    ApiError
        It is not there, has no pods, or says no.
    """
    found = _PLACE.fullmatch(raw)
    if found is None:
        return None
    service = cluster.get("Service", found["name"], found["space"])
    if service is None:
        raise ApiError("NotFound", f'services "{found["name"]}" not found')
    pods = endpoints(cluster, service)
    if not pods:
        text = f'no endpoints available for service "{found["name"]}"'
        raise ApiError("ServiceUnavailable", text)
    query = dict(parse_qsl(found["query"]))
    for page in PAGES:
        said = page(cluster, pods[0], found["path"], query)
        if said is not None:
            status, document = said
            if status < 400:
                return json.dumps(document)
            raise ApiError("BadRequest", f"the server rejected our request: {document}")
    raise ApiError("NotFound", "the server could not find the requested resource")
