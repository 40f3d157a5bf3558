"""Releases: one that this project does not know can't be rehearsed."""

from collections.abc import Iterator

from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import rule
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.releases import PRODUCTS, Series, is_known, known_names, series_of


def _written(lab: Lab) -> Iterator[tuple[str, str, Series]]:
    """Where the lab names a release, as it is written there, and what it is."""
    for name, host in lab.hosts.items():
        if host.os.kind in PRODUCTS and host.os.version:
            place = f"hosts.{name}.os.version"
            yield place, host.os.version, series_of(host.os.kind, host.os.version)
    for name, cluster in lab.clusters.items():
        place = f"clusters.{name}.version"
        yield place, cluster.version, series_of(cluster.kind, cluster.version)


@rule("release-unknown")
def releases_known(lab: Lab) -> Iterator[Finding]:
    """A release of an appliance that nobody here has held anything against."""
    for place, version, series in _written(lab):
        if is_known(series):
            continue
        yield Finding(
            "release-unknown",
            "stops",
            place,
            f"{series.product} {version} is none of the releases that the twin knows "
            f"({known_names(series.product)}), so a rehearsal says nothing of it.",
            fix=Fix(
                f"a release of {known_names(series.product)}; or, if it has to be, a plan with "
                f'unknown_releases=["{series}"]'
            ),
        )


@rule("release-not-finished")
def releases_finished(lab: Lab) -> Iterator[Finding]:
    """A release that may still change under the lab."""
    for place, version, series in _written(lab):
        if series.warns:
            yield Finding(
                "release-not-finished",
                "risks",
                place,
                f"{series.product} {version}: {series.warns}.",
            )
