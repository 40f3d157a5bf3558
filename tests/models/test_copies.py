"""Three copies, two media, another place: laws of the count, and cases by hand."""

from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.models.copies import Copy, standing

DAY = 86_400.0
MEDIA = st.sampled_from(["disks", "b2", "second", "tape"])
COPIES = st.lists(
    st.builds(
        Copy,
        st.sampled_from("abcdef"),
        MEDIA,
        st.booleans(),
        st.none() | st.floats(-1000, 10 * DAY),
        st.floats(1, 3 * DAY),
    ),
    max_size=6,
)


def copy(name, medium, offsite=True, age_s=3600.0):
    return Copy(name, medium, offsite, age_s, DAY)


def test_the_rule_by_hand():
    assert standing("disks", [copy("b2", "b2"), copy("second", "second")]).good
    assert standing("disks", [copy("b2", "b2")]).missing == "2 of 3 copies"
    here = [copy("a", "nas", False), copy("b", "nas", False)]
    assert standing("disks", here).missing == "0 of 1 in another place"
    same = [copy("a", "disks", False), copy("b", "disks", False)]
    assert standing("disks", same).missing == "1 of 2 media, 0 of 1 in another place"


def test_what_is_late_or_dated_in_the_future_counts_for_nothing():
    late = standing("disks", [copy("b2", "b2", age_s=2 * DAY), copy("second", "second")])
    assert (late.copies, late.late, late.good) == (2, ("b2",), False)
    wrong = standing("disks", [copy("b2", "b2", age_s=-DAY), copy("second", "second")])
    assert wrong.late == ("b2",)
    more = [copy("b2", "b2"), copy("second", "second"), copy("tape", "tape", age_s=None)]
    assert not standing("disks", more).good, "three are enough, and what was promised is late"


@given(COPIES, MEDIA)
def test_one_more_good_copy_never_makes_it_worse(copies, medium):
    before = standing("disks", copies)
    after = standing("disks", [*copies, copy("new", medium)])
    assert after.copies == before.copies + 1
    assert (after.media, after.elsewhere) >= (before.media, before.elsewhere)
    assert not before.good or after.good


@given(COPIES)
def test_the_counts_bound_each_other(copies):
    how = standing("disks", copies)
    assert 1 <= how.media <= how.copies <= 1 + len(copies)
    assert how.elsewhere < how.copies
    assert how.copies + len(how.late) == 1 + len(copies)
    assert how.good == (not how.late and how.copies >= 3 and how.media >= 2 and how.elsewhere >= 1)
