"""What a terminal obeys becomes something that a person sees."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.errors import HomelabError, LabError
from homelab_lib.printable import printable
from homelab_lib.views.cards import note_card
from homelab_lib.views.page import page

HOSTILE = "x\x1b]52;c;cm0gLXJmIH4K\x07\x1b]0;title\x07\x9b31m\x08\x08\rDONE\x00\u202egnp.exe\u2028"


def controls(text):
    return [
        c for c in text if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") and c not in "\n\t"
    ]


@given(st.text(st.characters(categories=["Cc", "Cf", "Cs", "L", "Zl", "Zp"])))
def test_no_control_character_comes_through(text):
    assert controls(printable(text)) == []
    assert controls(printable(text, one_line=True).replace("\n", "\0").replace("\t", "\0")) == []
    assert printable(printable(text)) == printable(text)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_text_without_any_stays_as_it_is(text):
    assert printable(f"{text}\n\t{text}") == f"{text}\n\t{text}"


def test_what_is_kept_and_what_is_spelt_out():
    assert printable("a\r\nb\x1b[2J\x9b\u202e") == "a\nb\\x1b[2J\\x9b\\u202e"
    assert printable("a\nb\tc", one_line=True) == "a\\nb\\tc"
    assert printable("👩‍💻") == "👩‍💻"


@pytest.mark.parametrize(
    "shown",
    [
        str(HomelabError(HOSTILE, where=HOSTILE, fix=HOSTILE)),
        str(LabError("wrong", problems=[HOSTILE])),
        "".join(HomelabError(HOSTILE)._render_traceback_()),
        repr(note_card(HOSTILE)),
        note_card(HOSTILE).html,
        *note_card(HOSTILE)._repr_mimebundle_().values(),
        page(HOSTILE, HOSTILE),
    ],
)
def test_wherever_a_person_reads(shown):
    assert controls(shown) == []
    assert "DONE" in shown or shown.startswith("wrong")
