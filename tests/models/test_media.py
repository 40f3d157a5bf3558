"""Transcoding and inspection: bounds that follow from rates, and are rates' only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.models import inspection, transcode

UHD, HD = transcode.PIXELS["4K"], transcode.PIXELS["1080p"]
RATE = 4.0 * UHD * 24  # one unit does four 4K streams in real time


def engine(units=2, sessions=None, **codecs) -> transcode.Engine:
    rates = {"hevc": RATE, "h264": RATE} | codecs
    return transcode.Engine(units, rates, rates, sessions)


def stream(source=UHD, target=HD, decode="hevc", encode="h264", **more) -> transcode.Stream:
    return transcode.Stream(decode, encode, source, target, **more)


def test_the_busier_of_decoder_and_encoder_counts():
    assert transcode.share_of_unit(stream(), engine()) == pytest.approx(0.25)
    assert transcode.share_of_unit(stream(source=HD), engine()) == pytest.approx(0.0625)


def test_streams_are_whole_and_stay_on_a_unit():
    assert transcode.streams_that_fit(stream(), engine(units=2)) == 8
    assert transcode.streams_that_fit(stream(frames_per_second=50), engine(units=2)) == 2
    assert transcode.streams_that_fit(stream(), engine(units=2, sessions=3)) == 3


def test_a_codec_that_is_missing_can_not_be_done():
    assert transcode.streams_that_fit(stream(encode="av1"), engine()) == 0
    assert transcode.streams_that_fit(stream(encode="av1"), engine(av1=RATE)) == 8


def test_the_link_carries_compressed_video_easily_and_raw_frames_not():
    video = stream(source_bps=120e6, target_bps=20e6)
    assert transcode.streams_over(15.75e9, video) == 131
    assert transcode.streams_over(15.75e9, video, frames_on_card=False) == 6


def test_a_thread_inspects_less_with_more_rules():
    few = inspection.bps_per_thread(rules=1000)
    many = inspection.bps_per_thread(rules=30_000)
    assert many < few
    reference = inspection.bps_per_thread(rules=inspection.REFERENCE_RULES, inline=False)
    assert reference == inspection.REFERENCE_BPS_PER_THREAD


def test_the_slowest_port_on_the_path_may_be_the_bound():
    ports = {"wan": 2.5e9, "lan": 10e9}
    assert inspection.inspection_bound(16, ports, thread_bps=0.5e9).limited_by == "wan"
    found = inspection.inspection_bound(4, ports, thread_bps=0.5e9)
    assert (found.throughput_bps, found.flow_bps, found.limited_by) == (2e9, 0.5e9, "inspection")


@given(st.integers(1, 64), st.floats(1e8, 1e10), st.floats(1e8, 1e11))
def test_one_flow_is_never_faster_than_all(threads, thread_bps, port):
    found = inspection.inspection_bound(threads, {"lan": port}, thread_bps=thread_bps)
    assert found.flow_bps <= found.throughput_bps <= port


@pytest.mark.parametrize(
    "call",
    [
        lambda: transcode.share_of_unit(stream(source=0), engine()),
        lambda: transcode.share_of_unit(stream(), engine(units=0)),
        lambda: transcode.streams_that_fit(stream(decode="", encode=""), engine()),
        lambda: transcode.streams_over(0, stream(source_bps=1)),
        lambda: transcode.streams_over(1, stream()),
        lambda: inspection.bps_per_thread(rules=-1),
        lambda: inspection.inspection_bound(0, {"a": 1}, thread_bps=1),
        lambda: inspection.inspection_bound(1, {}, thread_bps=1),
    ],
)
def test_impossible_input_is_refused(call):
    with pytest.raises(ValueError, match=r"."):
        call()
