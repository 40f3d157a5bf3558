"""TCP over Ethernet, beside what iperf3 shows on lines that are known to be full."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.models.ethernet import tcp_bytes_per_s, tcp_share

# iperf3 on a full line between two Linux machines: the figures that everybody's guide prints.
MEASURED_BPS = [
    (1e9, 1500, True, 941e6),
    (2.5e9, 1500, True, 2.35e9),
    (10e9, 1500, True, 9.41e9),
    (10e9, 9000, True, 9.90e9),
    (1e9, 1500, False, 949e6),
]


@pytest.mark.parametrize(("line", "mtu", "timestamps", "measured"), MEASURED_BPS)
def test_what_iperf3_shows(line, mtu, timestamps, measured):
    found = 8 * tcp_bytes_per_s(line, mtu, timestamps=timestamps)
    assert found == pytest.approx(measured, rel=0.002)


@given(st.integers(576, 9215), st.booleans(), st.booleans())
def test_a_larger_packet_never_carries_less(mtu, timestamps, tagged):
    small = tcp_share(mtu, timestamps=timestamps, tagged=tagged)
    assert small < tcp_share(mtu + 1, timestamps=timestamps, tagged=tagged) < 1
    assert tcp_share(mtu, timestamps=timestamps, tagged=True) <= small
    assert tcp_share(mtu, timestamps=timestamps, ip=6) < tcp_share(mtu, timestamps=timestamps)
