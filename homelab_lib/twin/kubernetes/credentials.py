"""The kubeconfig that k3s writes for the administrator.

Source: docs.k3s.io, cluster access.
"""

import base64

import yaml

from homelab_lib.twin.kubernetes.cluster import Cluster


def administrators(cluster: Cluster) -> str:
    """The administrator's kubeconfig."""
    certificate = base64.b64encode(f"CA of {cluster.token[3:35]}".encode()).decode()
    document = {
        "apiVersion": "v1",
        "clusters": [
            {
                "cluster": {
                    "certificate-authority-data": certificate,
                    "server": "https://127.0.0.1:6443",
                },
                "name": "default",
            }
        ],
        "contexts": [{"context": {"cluster": "default", "user": "default"}, "name": "default"}],
        "current-context": "default",
        "kind": "Config",
        "preferences": {},
        "users": [
            {
                "name": "default",
                "user": {
                    "client-certificate-data": base64.b64encode(b"client certificate").decode(),
                    "client-key-data": base64.b64encode(cluster.token.encode()).decode(),
                },
            }
        ],
    }
    return yaml.safe_dump(document, sort_keys=False)
