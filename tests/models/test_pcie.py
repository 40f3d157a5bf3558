"""Link bandwidth against the reference table, and the laws of sharing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.models import pcie
from models.measured import rows

gens, lanes, mps = (
    st.sampled_from(values) for values in ((1, 2, 3, 4, 5, 6), pcie.LANES, pcie.MPS_BYTES)
)


@pytest.mark.parametrize("case", rows("pcie"), ids=lambda c: f"gen{c['gen']} x{c['lanes']}")
@pytest.mark.parametrize("operation", ["write", "read"])
def test_reference_table(case, operation):
    found = pcie.payload_gbps(case["gen"], case["lanes"], mps=case["mps"], operation=operation)
    assert pcie.raw_gbps(case["gen"], case["lanes"]) == pytest.approx(case["raw_gbps"], abs=1e-4)
    assert found.upper == pytest.approx(case[f"upper_{operation}_gbps"], abs=1e-4)
    assert found.lower == pytest.approx(case[f"lower_{operation}_gbps"], abs=1e-4)


def test_the_published_82599_lies_in_the_band():
    lower, upper = pcie.payload_gbps(2, 4, mps=256)
    assert lower < 13.90 < upper


@given(gens, lanes, mps)
def test_the_payload_is_less_than_the_link(gen, width, size):
    lower, upper = pcie.payload_gbps(gen, width, mps=size)
    assert 0 < lower < upper < pcie.raw_gbps(gen, width)


@given(gens, lanes, lanes, mps)
def test_more_lanes_never_lower_the_bandwidth(gen, one, other, size):
    few, many = sorted((one, other))
    for end in ("lower", "upper"):
        less = getattr(pcie.payload_gbps(gen, few, mps=size), end)
        assert less <= getattr(pcie.payload_gbps(gen, many, mps=size), end)


hops = st.builds(pcie.Hop, st.text(min_size=1), gens, lanes)


@given(st.lists(hops, min_size=1, max_size=5))
def test_a_chain_is_as_good_as_its_worst(chain):
    link = pcie.negotiate(*chain)
    assert link.gen == min(hop.gen for hop in chain)
    assert link.lanes == min(hop.lanes for hop in chain)
    assert link.limited_by in {hop.name for hop in chain}


def test_the_82599_in_a_gen3_x2_slot_trains_at_gen2_x2():
    slot, card = pcie.Hop("M.2 slot", 3, 2), pcie.Hop("82599", 2, 8)
    link = pcie.negotiate(slot, card)
    assert (link.gen, link.lanes, link.raw_gbps) == (2, 2, 8.0)


@given(
    st.floats(0, 100),
    st.dictionaries(st.text(min_size=1), st.floats(0, 50), min_size=1, max_size=6),
)
def test_sharing_is_fair(capacity, demands):
    shares = pcie.shared_gbps(capacity, demands)
    assert list(shares) == list(demands)
    assert sum(shares.values()) <= capacity + 1e-9
    least = min((shares[n] for n in shares if shares[n] < demands[n] - 1e-9), default=None)
    for name, share in shares.items():
        assert share <= demands[name] + 1e-9
        if least is not None:  # nobody has more than the least of those who want more
            assert share <= least + 1e-6
    if sum(demands.values()) <= capacity:
        assert shares == pytest.approx(demands)


@pytest.mark.parametrize(
    ("change", "says"),
    [({"gen": 7}, "gen is 7"), ({"lanes": 3}, "lanes is 3"), ({"mps": 100}, "mps is 100")],
)
def test_impossible_input_names_itself(change, says):
    with pytest.raises(ValueError, match=says):
        pcie.payload_gbps(**({"gen": 3, "lanes": 2, "mps": 256} | change))
