"""Which calls of kubectl, k3s and helm only read."""

import re
from collections.abc import Sequence

from homelab_lib.transport.options import Allowed, Words
from homelab_lib.transport.reads import declare

# Health and version of the API server. What goes on to a node, a pod or a service by
# ``…/proxy/…`` may do anything there, but for what Prometheus, Alertmanager and Grafana only show.
_RAW = ("/healthz", "/livez", "/readyz", "/version", "/metrics")
_SHOWN = re.compile(
    r"/api/v1/namespaces/[a-z0-9-]+/services/http:[a-z0-9-]+:\d+/proxy/"
    r"(api/v1/(targets|rules|alerts|query)|api/v2/(alerts|silences|status)|api/health)"
)


def _no_surprise(words: Words) -> bool:
    """``logs -f`` never ends; ``--raw`` asks for paths that we know."""
    raw = [path.partition("?")[0] for path in words.values("--raw")]
    return (
        all(path in _RAW or _SHOWN.fullmatch(path) for path in raw)
        and (not raw or words.operands == ["get"])
        and not (words.operands[:1] == ["logs"] and words.values("-f"))
    )


KUBECTL = Allowed(
    "get,logs,version,diff,describe,api-resources,api-versions,events,explain,top,wait,"
    "auth can-i,auth whoami,rollout status,rollout history,"
    "config view,config get-contexts,config current-context",
    "-A --all-namespaces --no-headers --show-labels --ignore-not-found --client --previous -p "
    "--all-containers --prefix --timestamps --all --minify --flatten --server-side "
    "--force-conflicts --show-managed-fields",
    "-n --namespace -o --output -l --selector --kubeconfig --context --cluster --field-selector "
    "-f --filename --request-timeout --timeout --for --tail --since -c --container --raw "
    "--sort-by --field-manager --revision",
    also=_no_surprise,
)
_K3S = Allowed("check-config,etcd-snapshot ls,etcd-snapshot list", "", "-o --output")


def _k3s(words: Sequence[str]) -> bool:
    match words:
        case ["kubectl", "exec", "-n", _, pod, "--", "nvidia-smi", "-L"]:
            return not pod.startswith("-")
        case ["kubectl", *rest]:
            return KUBECTL(rest)
        case ["--version"]:
            return True
    return _K3S(words)


declare("kubectl", KUBECTL)
declare("k3s", _k3s)
declare(
    "helm",
    Allowed(
        "list,status,get,history,version,repo list",
        "-A --all-namespaces -a --all -q --short",
        "-n --namespace -o --output --kubeconfig --kube-context --filter --revision",
    ),
)
