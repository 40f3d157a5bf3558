"""What Kubernetes, k3s's datastore and its ingress say that means "not yet"."""

from homelab_lib.runbook.busy import NotNow, declare

declare(
    "kubectl, helm",
    # First what the API server says of a webhook: it may speak of refused connections, too.
    NotNow(
        r'failed calling webhook "[^"]+".*(no endpoints available|connection refused|'
        r"context deadline exceeded|i/o timeout|EOF|certificate signed by unknown authority)",
        "a webhook that has a say in this is not ready",
        source="apiserver pkg/admission/plugin/webhook: the request is refused before it is stored",
        undone=True,
    ),
    NotNow(
        r"The connection to the server \S+ was refused|connect: connection refused|"
        r"net/http: TLS handshake timeout|http2: client connection lost|: EOF\s*$",
        "the API server does not answer yet",
        source="kubectl pkg/cmd/util/helpers.go; k3s-io/k3s#8956",
    ),
    NotNow(
        r"etcdserver: (leader changed|no leader|request timed out|too many requests|not healthy)|"
        r"etcdserver: rpc not supported for learner",
        "etcd has no leader, or its disk is too slow",
        source="etcd server/etcdserver/errors; k3s-io/k3s#2853",
    ),
    # Of a service behind it, and not of itself: it says both by the same status.
    NotNow(
        r'\(ServiceUnavailable\): no endpoints available for service "',
        "no pod of a service is ready",
        source="apiserver pkg/util/proxy; kubernetes pkg/registry/core/service/storage, 503",
    ),
    NotNow(
        r"\(ServiceUnavailable\)|the server is currently unable to handle the request|"
        r"apiserver not ready|\(Timeout\)|unable to return a response in the time allotted|"
        r"\(TooManyRequests\)",
        "the API server is overloaded or starting, or of several servers half or more are off, "
        "and etcd has no quorum",
        source="apimachinery pkg/api/errors; k3s-io/k3s#3513",
    ),
    NotNow(
        r"readyz check failed|livez check failed|healthz check failed",
        "the API server is starting",
        source="apiserver pkg/server/healthz",
    ),
    NotNow(
        r'error looking up service account \S+: serviceaccount "default" not found',
        "the namespace is being made",
        source="kubernetes plugin/pkg/admission/serviceaccount",
        undone=True,
    ),
)
declare(
    "curl",
    NotNow(
        r"\A\s*404 page not found\s*\Z",
        "the ingress has no route for it yet",
        source="Go net/http NotFound, as Traefik answers; traefik/traefik#13390",
        succeeds=True,
    ),
    NotNow(
        r"\A\s*(no available server|Bad Gateway|Service Unavailable|Gateway Timeout)\s*\Z",
        "the ingress finds no pod that answers",
        source="Traefik pkg/server/service/loadbalancer",
        succeeds=True,
    ),
)
