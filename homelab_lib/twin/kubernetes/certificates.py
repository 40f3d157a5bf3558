"""cert-manager: issuers, certificates, the Secrets that they end in, and their renewal.

Source: cert-manager v1.21 `pkg/controller/certificates` (trigger, keymanager, issuing, readiness),
`pkg/issuer/ca`, `pkg/issuer/acme`, `pkg/controller/acmechallenges`;
`pkg/apis/certmanager/v1/types_certificate.go` (defaults).
"""

import base64
import re
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from homelab_lib.twin.kubernetes import charts
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.ingress import is_ready
from homelab_lib.twin.kubernetes.objects import ApiError, Object, dig
from homelab_lib.twin.machine.certificates import Identity, drawn, issued, parsed

CERTIFICATES = "certificates.cert-manager.io"
_REQUESTS = "certificaterequests.cert-manager.io"
_ISSUERS = {"ClusterIssuer": "clusterissuers.cert-manager.io", "Issuer": "issuers.cert-manager.io"}
_GROUP = "cert-manager.io"
_DEFAULT_S = 90 * 86400.0
_TAKES_S = 3.0
_DURATION = re.compile(r"(\d+)(h|m|s)")
_UNITS_S = {"h": 3600, "m": 60, "s": 1}
_NO_WEBHOOK = (
    'Internal error occurred: failed calling webhook "webhook.cert-manager.io": failed to call '
    'webhook: Post "https://cert-manager-webhook.cert-manager.svc:443/validate?timeout=30s": no '
    'endpoints available for service "cert-manager-webhook"'
)


def run(cluster: Cluster) -> None:
    """What cert-manager's controller does, where it runs."""
    if CERTIFICATES not in cluster.kinds or controller(cluster) is None:
        return
    for key in _ISSUERS.values():
        for issuer in cluster.all(key):
            _judge(cluster, issuer)
    for certificate in cluster.all(CERTIFICATES):
        if cluster.noticed(certificate):
            _certify(cluster, certificate)


def admit(cluster: Cluster, document: Object) -> None:
    """Its webhook has a say in each of its objects.

    Raises
    ------
    ApiError
        It does not answer.
    """
    group = str(document.get("apiVersion", "")).partition("/")[0]
    if group == _GROUP and not _runs(cluster, "cert-manager-webhook"):
        raise ApiError("InternalError", _NO_WEBHOOK)


def _runs(cluster: Cluster, image: str) -> bool:
    return _pod(cluster, image) is not None


def _pod(cluster: Cluster, image: str) -> Object | None:
    """A pod of an image that is ready and does not hang."""
    for pod in cluster.all("Pod"):
        ours = f"/{image}:" in pod["spec"]["containers"][0]["image"]
        if ours and is_ready(pod) and pod["metadata"]["uid"] not in cluster.hanging:
            return pod
    return None


def controller(cluster: Cluster) -> Object | None:
    """The pod that issues and renews; None where there is none, or it hangs."""
    return _pod(cluster, "cert-manager-controller")


def duration_s(text: object, default_s: float) -> float:
    """``2160h0m0s`` in seconds."""
    found = _DURATION.findall(str(text or ""))
    return float(sum(int(n) * _UNITS_S[unit] for n, unit in found)) if found else default_s


def _condition(cluster: Cluster, it: Object, holds: bool, reason: str, message: str) -> None:
    said = {"type": "Ready", "status": str(holds), "reason": reason, "message": message}
    before = dig(it, "status.conditions") or [{}]
    since = before[0].get("lastTransitionTime", cluster.stamp())
    if before[0].get("status") != said["status"]:
        since = cluster.stamp()
    it.setdefault("status", {})["conditions"] = [said | {"lastTransitionTime": since}]


def _judge(cluster: Cluster, issuer: Object) -> None:
    spec = issuer["spec"]
    space = issuer["metadata"].get("namespace") or "cert-manager"
    if "ca" in spec:
        name = spec["ca"]["secretName"]
        if cluster.get("Secret", name, space) is None:
            text = f'Error getting keypair for CA issuer: secrets "{name}" not found'
            _condition(cluster, issuer, False, "ErrGetKeyPair", text)
        else:
            _condition(cluster, issuer, True, "KeyPairVerified", "Signing CA verified")
    elif "acme" in spec:
        why = cluster.world.internet(cluster.server)
        if why:
            text = f"Failed to register ACME account: {why}"
            _condition(cluster, issuer, False, "ErrRegisterACMEAccount", text)
        else:
            text = "The ACME account was registered with the ACME server"
            _condition(cluster, issuer, True, "ACMEAccountRegistered", text)
    else:
        _condition(cluster, issuer, True, "IsReady", "")


def _certify(cluster: Cluster, it: Object) -> None:
    meta, spec, now = it["metadata"], it["spec"], cluster.world.clock.now()
    secret = cluster.get("Secret", spec["secretName"], meta["namespace"])
    valid_s = duration_s(spec.get("duration"), _DEFAULT_S)
    before_s = duration_s(spec.get("renewBefore"), valid_s / 3)
    # A twin that is seeded does not ask for Secrets: what was ready has one.
    kept = secret is not None or cluster.seeded
    until = dig(it, "status.notAfter")
    if kept and until and cluster.installed.get(meta["uid"]) == meta.get("generation", 1):
        ends_s = datetime.fromisoformat(until).timestamp()
        if now < ends_s - before_s or secret is None:
            _condition(cluster, it, True, "Ready", "Certificate is up to date and has not expired")
            return
    if not (secret and until and now < datetime.fromisoformat(until).timestamp()):
        text = "Issuing certificate as Secret does not exist"
        _condition(cluster, it, False, "DoesNotExist", text)
    revision = (dig(it, "status.revision") or 0) + 1
    request = _request(cluster, it, revision)
    issuer, why = _issuer(cluster, it)
    if why:
        _condition(cluster, request, False, "Pending", why)
        return
    if cluster.age_s(request) < _TAKES_S:
        return
    _condition(cluster, request, True, "Issued", "Certificate fetched from issuer successfully")
    _issue(cluster, it, issuer, revision, now)
    for late_s in (0.0, _TAKES_S + 1.0):  # somebody has to look then
        due_s = valid_s - before_s + late_s
        cluster.world.after(due_s, cluster.settle, label="a certificate is due")
    _condition(cluster, it, True, "Ready", "Certificate is up to date and has not expired")


def _issue(
    cluster: Cluster, it: Object, issuer: Identity | None, revision: int, now: float
) -> None:
    """Sign it as of a moment, and keep it in its Secret."""
    meta, spec = it["metadata"], it["spec"]
    valid_s = duration_s(spec.get("duration"), _DEFAULT_S)
    # Unless it says Never, each renewal is made with a new key: of an authority, too.
    always = dig(spec, "privateKey.rotationPolicy") != "Never"
    drawn_by = f"{cluster.world.seed}/{meta['namespace']}/{meta['name']}"
    key = drawn(f"{drawn_by}/{revision}" if always else drawn_by)
    names = [spec["commonName"]] if spec.get("commonName") else []
    names += [name for name in spec.get("dnsNames", ()) if name not in names]
    made = issued(names, key, issuer, now_s=now, valid_s=valid_s, authority=bool(spec.get("isCA")))
    _keep(cluster, it, made, issuer or made)
    cluster.installed[meta["uid"]] = meta.get("generation", 1)
    ends = made.certificate.not_valid_after_utc
    it["status"] |= {
        "revision": revision,
        "notBefore": made.certificate.not_valid_before_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "notAfter": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def ends_in(cluster: Cluster, it: Object, left_s: float) -> None:
    """A certificate is as old as it is when only so much of its time is left [s]."""
    issuer, _ = _issuer(cluster, it)
    valid_s = duration_s(it["spec"].get("duration"), _DEFAULT_S)
    begun_s = cluster.world.clock.now() + left_s - valid_s
    _issue(cluster, it, issuer, dig(it, "status.revision") or 1, begun_s)


def _request(cluster: Cluster, it: Object, revision: int) -> Object:
    meta = it["metadata"]
    name = f"{meta['name']}-{revision}"
    found = cluster.get(_REQUESTS, name, meta["namespace"])
    if found is not None:
        return found
    whole = {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "CertificateRequest",
        "metadata": {"name": name, "namespace": meta["namespace"]},
        "spec": {"issuerRef": it["spec"]["issuerRef"]},
    }
    return cluster.create(whole, owner=it)


def _issuer(cluster: Cluster, it: Object) -> tuple[Identity | None, str]:
    """Who signs a certificate, None for itself; or why nobody does."""
    wanted = it["spec"]["issuerRef"]
    kind, space = wanted.get("kind", "Issuer"), it["metadata"]["namespace"]
    found = cluster.get(_ISSUERS.get(kind, ""), wanted["name"], space) if kind in _ISSUERS else None
    if found is None:
        name = f'{kind.lower()}.cert-manager.io "{wanted["name"]}" not found'
        return None, f'Referenced "{kind}" not found: {name}'
    conditions: Any = dig(found, "status.conditions") or [{}]
    if conditions[0].get("status") != "True":
        return None, f'Referenced "{kind}" does not have a Ready status condition'
    if "ca" in found["spec"]:
        place = found["metadata"].get("namespace") or "cert-manager"
        secret = cluster.get("Secret", found["spec"]["ca"]["secretName"], place)
        assert secret is not None  # or it were not ready
        return _identity(secret), ""
    if "acme" in found["spec"]:
        return _public(cluster), _unproven(cluster, found, it)
    return None, ""


def _unproven(cluster: Cluster, issuer: Object, it: Object) -> str:
    """Why the names' zone is not proved to be ours; empty where it is."""
    for name in it["spec"].get("dnsNames", ()):
        for solver in dig(issuer, "spec.acme.solvers") or ():
            zones = dig(solver, "selector.dnsZones")
            if zones is None or any(name == z or name.endswith(f".{z}") for z in zones):
                token = dig(solver, "dns01.cloudflare.apiTokenSecretRef.name") or ""
                if cluster.get("Secret", token, "cert-manager") is None:
                    return f'error getting cloudflare secret: secrets "{token}" not found'
                if cluster.world.resolve(cluster.server, name) and not _asks_outside(cluster):
                    record = f'DNS record for "{name}" not yet propagated'
                    return f"Waiting for DNS-01 challenge propagation: {record}"
                break
        else:
            return f"no configured challenge solvers can be used for {name}"
    return ""


def _asks_outside(cluster: Cluster) -> bool:
    """Whether it looks for the proof at servers that it was told: the house's own, where they
    answer for the zone themselves, never have it."""
    told = [
        charts.values_of(each["spec"])
        for each in cluster.all("HelmChart")
        if str(each["spec"].get("chart", "")).rpartition("/")[2] == "cert-manager"
    ]
    return any(each.get("dns01RecursiveNameserversOnly") is True for each in told)


def _public(cluster: Cluster) -> Identity:
    """The authority of the world outside."""
    key = drawn(f"{cluster.world.seed}/the world's authority")
    return issued(["The world's CA"], key, None, now_s=0, valid_s=4e9, authority=True)


def _identity(secret: Object) -> Identity:
    key = load_pem_private_key(_text(secret, "tls.key").encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return Identity(parsed(_text(secret, "tls.crt"))[0], key)


def _text(secret: Object, name: str) -> str:
    return base64.b64decode(secret["data"][name]).decode()


def _keep(cluster: Cluster, it: Object, made: Identity, issuer: Identity) -> None:
    meta, name = it["metadata"], it["spec"]["secretName"]
    texts = {"tls.crt": made.pem, "tls.key": made.key_pem, "ca.crt": issuer.pem}
    data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    found = cluster.get("Secret", name, meta["namespace"])
    if found is None:
        notes = {f"{_GROUP}/certificate-name": meta["name"]}
        where = {"name": name, "namespace": meta["namespace"], "annotations": notes}
        whole = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls"}
        cluster.create(whole | {"metadata": where, "data": data})
    else:
        found["data"] = data
