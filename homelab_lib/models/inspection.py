"""How much traffic a firewall inspects: cores, rules, and the slowest port on the path.

A bound to be tested, not a promise: no measurement for these processors was found. One published
deployment inspected 60 Gb/s on 72 threads in IDS mode, 0.83 Gb/s a thread with 14,312 rules.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from homelab_lib.models.bounds import COUNT, POSITIVE, SHARE, WHOLE, takes

REFERENCE_RULES = 14_312
REFERENCE_BPS_PER_THREAD = 0.83e9
MANY_RULES = 30_000
"""About what the larger rulesets come to together."""


@dataclass(frozen=True)
class Bound:
    """What holds inspection down.

    Parameters
    ----------
    throughput_bps
        At most, all flows together [bit/s].
    flow_bps
        At most for one flow, which never leaves its thread [bit/s].
    limited_by
        What the bound is: ``inspection``, or the name of a port.
    """

    throughput_bps: float
    flow_bps: float
    limited_by: str


@takes(
    rules=WHOLE,
    clock_ratio=POSITIVE,
    reference_bps=POSITIVE,
    reference_rules=COUNT,
    fixed_share=SHARE,
    inline_share=SHARE,
)
def bps_per_thread(
    *,
    rules: int,
    clock_ratio: float = 1.0,
    inline: bool = True,
    reference_bps: float = REFERENCE_BPS_PER_THREAD,
    reference_rules: int = REFERENCE_RULES,
    fixed_share: float = 0.5,
    inline_share: float = 0.6,
) -> float:
    """What one thread inspects [bit/s].

    Parameters
    ----------
    rules
        Enabled rules.
    clock_ratio
        This core's speed over the reference's.
    inline
        IPS (packets wait for the verdict) rather than IDS (a copy is looked at).
    reference_bps, reference_rules
        A measurement: yours, once there is one.
    fixed_share
        Share of the reference's work that no rule causes: capture, decoding, streams.
    inline_share
        What inline mode leaves of IDS throughput (unverified).

    References
    ----------
    Cost per packet = fixed + rules × cost of one, with multi-pattern matching less than
    linear in practice, so this errs to the careful side for few rules.
    """
    work = fixed_share + (1 - fixed_share) * rules / reference_rules
    return reference_bps * clock_ratio / work * (inline_share if inline else 1.0)


@takes(threads=COUNT, thread_bps=POSITIVE)
def inspection_bound(threads: int, ports_bps: Mapping[str, float], *, thread_bps: float) -> Bound:
    """What passes an inspecting firewall: its threads, or the slowest port on the way.

    Parameters
    ----------
    threads
        Threads that inspect.
    ports_bps
        Every port the traffic passes, in and out [bit/s].
    thread_bps
        What a thread inspects [bit/s].
    """
    if not ports_bps:
        raise ValueError("ports_bps is empty; traffic comes in by a port")
    for name, port_bps in ports_bps.items():
        POSITIVE.check(f"ports_bps of {name}", port_bps)
    slowest = min(ports_bps, key=lambda name: ports_bps[name])
    inspected = threads * thread_bps
    port_bps = ports_bps[slowest]
    return Bound(
        throughput_bps=min(inspected, port_bps),
        flow_bps=min(thread_bps, port_bps),
        limited_by="inspection" if inspected < port_bps else slowest,
    )
