"""Text and quantity; TB is not TiB."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib import units


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("14 TB", 14e12),
        ("25.5 TiB", 25.5 * 2**40),
        ("512GB", 512e9),
        ("128 GiB", 128 * 2**30),
        ("0 B", 0),
    ],
)
def test_sizes(text, value):
    assert units.parse_bytes(text) == value


@pytest.mark.parametrize("text", ["14", "TB", "14 tb", "14 T", "-", "", "1 GB/s", "fourteen TB"])
def test_a_size_without_a_clear_unit_is_refused(text):
    with pytest.raises(ValueError, match="TiB"):
        units.parse_bytes(text)


def test_rates():
    assert units.parse_bps("2.5 Gb/s") == 2.5e9
    assert units.format_bps(2.5e9) == "2.5 Gb/s"
    assert units.format_bps(0) == "0 b/s"


def test_the_seeds_28_tb_is_25_tib():
    assert units.format_bytes(28e12) == "28 TB"
    assert units.format_ibytes(28e12) == "25.47 TiB"


@given(st.integers(0, 2**60))
def test_formatting_loses_less_than_its_digits(value):
    for form in (units.format_bytes, units.format_ibytes):
        assert units.parse_bytes(form(value, digits=6)) == pytest.approx(value, rel=1e-3, abs=1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.41, "0.4 s"),
        (12, "12 s"),
        (200, "3 min 20 s"),
        (95_040, "26 h 24 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_durations(seconds, text):
    assert units.format_seconds(seconds) == text


@pytest.mark.parametrize("digits", ["9" * 399, "1e399", "9e30", "-1e399"])
def test_a_size_beyond_every_lab_is_a_slip_and_said_shortly(digits):
    with pytest.raises(ValueError, match="larger size than any lab has") as caught:
        units.parse_bytes(f"{digits} TB")
    assert len(str(caught.value)) < 150


def test_a_quantity_is_shown_in_a_size_that_a_person_reads():
    assert units.format_quantity(26.98e12, "B") == units.format_bytes(26.98e12)
    assert units.format_quantity(1e10, "bit/s") == units.format_bps(1e10)
    assert units.format_quantity(4800, "MT/s") == "4800 MT/s"
    assert units.format_quantity(42.5728, "tokens/s") == "42.57 tokens/s"
    assert units.format_quantity(1234567.8, "IOPS") == "1234568 IOPS"
    assert units.format_quantity(0.0123456, "s") == "0.01235 s"


@pytest.mark.parametrize(
    ("age_s", "told"),
    [
        (40.0, "1 min old"),
        (5 * 3600.0, "5 h old"),
        (47 * 3600.0, "47 h old"),
        (28_801 * 60.0, "20 days old"),
        (-3 * 3600.0, "dated 3 h ahead"),
        (-2.0, "0 min old"),
    ],
)
def test_an_age_is_told_as_a_person_tells_it(age_s, told):
    assert units.format_age(age_s) == told
