"""Power, money, memory: small arithmetic that decides what is bought."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.models import compute, cost, power

GIB = 2**30
watts = st.floats(0, 2000)


@given(st.lists(st.builds(power.Draw, st.text(), watts, watts, watts), max_size=8))
def test_a_budget_is_the_sum_and_its_peak_the_worst_one(draws):
    found = power.budget(draws)
    assert found.load_w == pytest.approx(sum(d.load_w for d in draws))
    assert found.load_w <= found.peak_w
    assert all(found.peak_w >= found.load_w - d.load_w + d.peak_w - 1e-6 for d in draws)


def test_a_supply_bears_the_load_all_day_and_the_peak_for_an_instant():
    steady = power.Budget(100, 800, 900)
    spiky = power.Budget(100, 400, 1600)
    assert power.supply_w(steady) == 1000
    assert power.supply_w(spiky) == 800
    assert power.supply_w(spiky, excursion=1.3) == pytest.approx(1230.8, abs=0.1)


def test_a_year_of_134_watts():
    assert power.yearly_kwh(134) == pytest.approx(1173.84)
    assert power.yearly_cost(134, 0.30) == pytest.approx(352.15, abs=0.01)


@pytest.mark.parametrize(
    ("load_w", "least_min", "most_min"),
    # BX1500M: 865 W for some 3 min; CP1500PFCLCD and BX1500M: half load 10 to 12 min, full 2.5.
    [(865, 2.5, 4.0), (900, 2.3, 3.8), (450, 9.0, 13.0), (100, 55.0, 75.0)],
)
def test_what_makers_give_for_two_blocks_of_nine_ampere_hours(load_w, least_min, most_min):
    lasts = power.ups_runtime_s(load_w, rated_w=900, energy_wh=216) / 60
    assert least_min < lasts < most_min


@given(st.floats(1, 900), st.floats(1, 900))
def test_a_ups_runs_shorter_under_more_load_and_never_above_its_rating(a, b):
    less, more = sorted((a, b))
    runs = [power.ups_runtime_s(load, rated_w=900, energy_wh=216) for load in (less, more)]
    assert runs[0] >= runs[1]
    with pytest.raises(ValueError, match="switches off"):
        power.ups_runtime_s(less, rated_w=less * 0.99, energy_wh=216)


def test_lithium_gives_most_of_it_at_any_load():
    assert power.battery_share(4.0, chemistry="lithium") > 3 * power.battery_share(4.0)


@pytest.mark.parametrize("energy_wh", [108.0, 216.0, 432.0, 816.0])
def test_twice_the_battery_lasts_more_than_twice_as_long(energy_wh):
    """By Peukert's law; whatever the inverter could give."""
    runs = [
        power.ups_runtime_s(400, rated_w=1980, energy_wh=wh) for wh in (energy_wh, 2 * energy_wh)
    ]
    assert runs[1] >= 2 * runs[0]
    assert power.ups_runtime_s(400, rated_w=420, energy_wh=energy_wh) == runs[0]


def test_what_a_circuit_has_left():
    assert power.circuit_headroom_w(1000, breaker_a=15, voltage_v=120) == pytest.approx(440)
    assert power.circuit_headroom_w(1500, breaker_a=15, voltage_v=120) < 0


def test_the_designs_shopping_list():
    prices = [(260,), (170,), (50, 60), (45,), (15, 20), (15, 25), (50, 80)]
    found = cost.total(cost.Range.of(*price) for price in prices)
    assert found == (605, 660)
    assert cost.covers(cost.Range(605, 660), found)
    assert cost.net(found, cost.Range(380, 430)) == (175, 280)


@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e4)), max_size=8))
def test_a_total_keeps_its_order(pairs):
    found = cost.total(cost.Range.of(*sorted(pair)) for pair in pairs)
    assert found.low <= found.high


def test_a_price_the_wrong_way_round_is_refused():
    with pytest.raises(ValueError, match="from 5 to 3"):
        cost.Range.of(5, 3)


def test_27_tb_off_site():
    assert cost.storage_per_month(27e12, price_per_tb=6.95) == pytest.approx(187.65)
    assert cost.storage_per_month(5e9, price_per_tb=6.95, free_bytes=10e9) == 0
    assert cost.upload_seconds(1e12, 40e6) / 86400 == pytest.approx(2.57, abs=0.01)


class TestRoom:
    """The design's table: 4+8+8+8+4 threads, 8+32+32+40+16 GB of 128."""

    guests = (
        compute.Guest("control", 4, 8 * GIB),
        compute.Guest("gpu1", 8, 32 * GIB, passthrough=True),
        compute.Guest("gpu2", 8, 32 * GIB, passthrough=True),
        compute.Guest("general", 8, 40 * GIB),
    )

    def test_all_memory_is_sold_and_some_of_it_twice(self):
        seen = compute.visible_memory_bytes(128 * GIB)
        assert seen / GIB == pytest.approx(124.8)
        found = compute.room(
            self.guests,
            memory_bytes=seen,
            threads=32,
            arc_bytes=compute.default_arc_bytes(seen),
            host_vcpu=4,
        )
        assert found.left_bytes < 0
        assert found.pinned_bytes == round(32 * GIB * 1.05) * 2
        assert found.vcpu_ratio == 1.0

    @given(st.integers(0, 64 * GIB - 1))
    def test_a_smaller_guest_never_leaves_less(self, less):
        def left(memory_bytes):
            guests = [*self.guests[:3], compute.Guest("another", 8, memory_bytes)]
            return compute.room(guests, memory_bytes=125 * GIB, threads=32).left_bytes

        assert left(64 * GIB - less) >= left(64 * GIB)


@pytest.mark.parametrize(
    "call",
    [
        lambda: power.ups_runtime_s(0, rated_w=900, energy_wh=216),
        lambda: power.wall_w(100, efficiency=1.2),
        lambda: power.yearly_kwh(-1),
        lambda: cost.storage_per_month(-1, price_per_tb=6),
        lambda: cost.upload_seconds(1, 0),
        lambda: compute.visible_memory_bytes(0),
        lambda: compute.default_arc_bytes(-1),
        lambda: compute.room([], memory_bytes=1, threads=0),
    ],
)
def test_impossible_input_is_refused(call):
    with pytest.raises(ValueError, match=r"."):
        call()
