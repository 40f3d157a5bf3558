"""Certificates of a cluster's services: an authority of the house's own, who trusts it, and a
public one for names in a zone that is ours."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime

from homelab_lib.control.clock import clock_s
from homelab_lib.control.kubernetes.certificates import Issued, IssuerReady, ends
from homelab_lib.control.kubernetes.charts import Served
from homelab_lib.control.kubernetes.kubectl import KUBECTL
from homelab_lib.control.kubernetes.objects import Applied
from homelab_lib.control.kubernetes.secrets import SecretObject
from homelab_lib.control.linux import File
from homelab_lib.control.linux.authorities import FOLDER, Believed
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster
from homelab_lib.lab.production import Acme, Certificates
from homelab_lib.recipes.kubernetes import manifests
from homelab_lib.recipes.kubernetes.charts import Release
from homelab_lib.recipes.kubernetes.ingress import SPACE
from homelab_lib.recipes.kubernetes.published import Name, names
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Check, Context, Measurement, Step, Wanted
from homelab_lib.secret import Secret

OWN_SPACE = "cert-manager"
DEFAULT = "ingress-default"
_PUBLIC = "ingress-public"
_GROUP = "cert-manager.io"
_KINDS = tuple(f"{kind}.{_GROUP}" for kind in ("certificates", "clusterissuers"))
TOKEN = "acme-dns"
TOKEN_KEY = "api-token"
_DAY_S = 86400.0


def steps(lab: Lab, cluster: Cluster, phase: int, end: str) -> Iterator[Step]:
    """The steps of a cluster's certificates; none where it gets none in this phase.

    Parameters
    ----------
    lab, cluster
        What is described.
    phase
        The number of the phase.
    end
        What the steps' names end with.

    Raises
    ------
    BadParameter
        Something can't be made: its key and what to do.
    """
    issuing = _issuing(lab, cluster, phase)
    if issuing is None:
        return
    yield Step(
        f"certificates{end}",
        "Issue certificates for what is published",
        why="cert-manager keeps an authority of the house's own, and renews what it signs. The "
        "authority's key is kept when its certificate is renewed, and that is good for years: by "
        "default it would last 90 days and come back with another key, and nobody would trust it "
        "any more. Its key is in one Secret of the cluster; back that up.",
        ensure=issuing.ensure,
        check=issuing.dated,
        measure=issuing.left,
    )


def trusting(lab: Lab, cluster: Cluster, phase: int, end: str) -> Iterator[Step]:
    """The step of those who trust the authority, once all is published; see `steps`."""
    issuing = _issuing(lab, cluster, phase)
    if issuing is None:
        return
    yield Step(
        f"trust{end}",
        "Have the clients trust the house's authority, and ask as they do",
        why="The authority's certificate goes among those that the machine believes. Then each "
        "published name is asked for as a browser would: by its name, and believing nobody else.",
        needs=(f"certificates{end}",),
        ensure=issuing.trust,
        check=issuing.answered,
    )


def _issuing(lab: Lab, cluster: Cluster, phase: int) -> "Issuing | None":
    described = cluster.certificates
    if described is None or lab.services[described.service].phase != phase:
        return None
    return Issuing(lab, cluster, described, phase)


class Issuing:
    """A cluster's issuers and certificates; see `steps`."""

    def __init__(self, lab: Lab, cluster: Cluster, described: Certificates, phase: int) -> None:
        self.lab = lab
        self.cluster = cluster
        self.described = described
        self.phase = phase
        self.server = cluster.first_server
        values = {"crds": {"enabled": True}} | self._resolvers
        self.release = Release.of(lab, described.service, "issues certificates", values)

    @property
    def _resolvers(self) -> dict[str, object]:
        """Where the house answers for a zone itself, its own servers don't see the proof."""
        acme = self.described.acme
        if acme is None:
            return {}
        return {
            "dns01RecursiveNameservers": ",".join(acme.resolvers),
            "dns01RecursiveNameserversOnly": True,
        }

    @property
    def published(self) -> list[Name]:
        """All host names at the ingress."""
        return names(self.lab, self.cluster, self.phase)

    def documents(self) -> Iterator[manifests.Object]:
        """What is applied for them, but for the chart."""
        authority, acme = self.described.authority, self.described.acme
        yield _issuer("self-signed", {"selfSigned": {}})
        yield _certificate(
            authority.name,
            OWN_SPACE,
            "self-signed",
            authority.valid_h,
            isCA=True,
            commonName=authority.common_name,
            renewBefore=_hours(authority.renew_before_h),
        )
        yield _issuer(authority.name, {"ca": {"secretName": authority.name}})
        own = [each.hostname for each in self.published]
        if own:
            yield _certificate(
                DEFAULT, SPACE, authority.name, self.described.valid_h, dnsNames=sorted(own)
            )
        public = [name for name in own if acme is not None and _within(name, acme)]
        if acme is not None:
            yield _issuer(acme.name, {"acme": _acme(acme)})
            if public:
                yield _certificate(
                    _PUBLIC, SPACE, acme.name, self.described.valid_h, dnsNames=sorted(public)
                )
        if own:
            yield _store(public=bool(public))

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """The chart, its kinds served, then issuers and certificates one after the other."""
        yield from self.release.ensure(ctx)
        yield Served(self.server, _KINDS)
        yield self.release.ready()
        acme = self.described.acme
        if acme is not None:
            values = {TOKEN_KEY: ctx.secret(acme.token)}
            yield SecretObject(self.server, self.lab.name, TOKEN, OWN_SPACE, values)
        for document in self.documents():
            yield Applied(self.server, self.lab.name, document)
            name = document["metadata"]["name"]
            if document["kind"] == "ClusterIssuer" and "ca" not in document["spec"]:
                yield IssuerReady(self.server, name)
            elif document["kind"] == "Certificate":
                yield Issued(self.server, document["metadata"]["namespace"], name)

    def dated(self, ctx: Context) -> Iterator[Check]:
        """Each certificate is good, and until when."""
        for name, until in ends(ctx.host(self.server)).items():
            yield Check(f"certificate {name}", not until.startswith("not ready"), until)

    def left(self, ctx: Context) -> Iterator[Measurement]:
        """How long the authority is good for, against what was asked."""
        host, name = ctx.host(self.server), self.described.authority.name
        until = ends(host).get(f"{OWN_SPACE}/{name}", "")
        if until[:4].isdigit():
            now = clock_s(host)
            left = (datetime.fromisoformat(until).astimezone(UTC).timestamp() - now) / _DAY_S
            wanted = self.described.authority.valid_h / 24
            yield Measurement(f"{name}: days left", round(left, 1), "days", wanted)

    def trust(self, ctx: Context) -> Iterator[Wanted]:
        """The authority's certificate among those that a client believes."""
        authority = self.described.authority.name
        server = ctx.host(self.server)
        path = f"{FOLDER}/{authority}.crt"
        root = Secret(f"certificate of {authority}", lambda: _root(server, authority))
        for client in self.described.trusted_by:
            what = f"the certificate of {authority}"
            yield File(client, path, root, what=what, lab=self.lab.name)
            yield Believed(client, path)

    def answered(self, ctx: Context) -> Iterator[Check]:
        """Each name answers, by its name, to somebody who believes the authority alone."""
        path = f"{FOLDER}/{self.described.authority.name}.crt"
        for client in self.described.trusted_by:
            for each in self.published:
                yield _asked(ctx.host(client), each, path)


def _asked(client: Host, name: Name, believed: str) -> Check:
    words = ("curl", "-sS", "-m", "10", "-L", "--cacert", believed, f"https://{name.hostname}/")
    said = client.read(*words, ok=None)
    title = f"{client.name} reaches https://{name.hostname}/"
    if said.exit_status == 6:
        return Check(
            title,
            holds=False,
            says=f"no name server that {client.name} asks knows {name.hostname}: give it to the "
            "cluster's address under dns, among its aliases",
        )
    found = name.expect in said.stdout
    lines = said.stdout.strip().splitlines()
    says = "it answers, and its certificate holds" if found else (lines or [""])[0]
    return Check(title, said.ok and found, says if said.ok else said.stderr.strip())


def _root(server: Host, authority: str) -> str:
    words = (*KUBECTL, "get", "secret", authority, "-n", OWN_SPACE)
    said = server.read(*words, "-o", r"jsonpath={.data.tls\.crt}", sudo=True).stdout
    return base64.b64decode(said).decode()


def _within(name: str, acme: Acme) -> bool:
    return any(name == zone or name.endswith(f".{zone}") for zone in acme.zones)


def _hours(hours: int) -> str:
    """As Kubernetes itself writes a duration."""
    return f"{hours}h0m0s"


def _issuer(name: str, spec: manifests.Object) -> manifests.Object:
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "ClusterIssuer",
        "metadata": {"name": name},
        "spec": spec,
    }


def _certificate(
    name: str, namespace: str, issuer: str, valid_h: int, **spec: object
) -> manifests.Object:
    """A certificate whose key stays when it is renewed."""
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "Certificate",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "secretName": name,
            "duration": _hours(valid_h),
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Never"},
            "issuerRef": {"group": _GROUP, "kind": "ClusterIssuer", "name": issuer},
            **spec,
        },
    }


def _acme(described: Acme) -> manifests.Object:
    token = {"name": TOKEN, "key": TOKEN_KEY}
    return {
        "server": described.server,
        "email": described.email,
        "privateKeySecretRef": {"name": f"{described.name}-account"},
        "solvers": [
            {
                "selector": {"dnsZones": list(described.zones)},
                "dns01": {"cloudflare": {"apiTokenSecretRef": token}},
            }
        ],
    }


def _store(*, public: bool) -> manifests.Object:
    """What Traefik shows to whoever asks for a name without a certificate of its own."""
    spec: manifests.Object = {"defaultCertificate": {"secretName": DEFAULT}}
    if public:
        spec["certificates"] = [{"secretName": _PUBLIC}]
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "TLSStore",
        "metadata": {"name": "default", "namespace": SPACE},
        "spec": spec,
    }
