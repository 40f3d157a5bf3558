"""The page can be read: by day, at night, and on paper."""

import re

import pytest

from homelab_lib.views.page import page

CSS = page("", "").partition("<style>")[2].partition("</style>")[0]
NIGHT = CSS.index("prefers-color-scheme: dark")


def colours(css: str) -> dict[str, str]:
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", css))


def luminance(colour: str) -> float:
    """Relative luminance. Source: WCAG 2.2, 'relative luminance'."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_measure_itself():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", [CSS[:NIGHT], CSS[NIGHT:]])
def test_each_colour_of_text_is_told_from_its_paper(theme):
    """WCAG 2.2 AA, 1.4.3: 4.5 to 1."""
    found = colours(theme)
    assert {"ink", "quiet", "good", "busy", "soft", "warn", "bad", "paper"} <= found.keys()
    for name, colour in found.items():
        if name not in ("paper", "line"):
            assert contrast(colour, found["paper"]) >= 4.5, (name, colour)


def test_no_text_has_a_colour_of_one_theme_only():
    assert re.findall(r"[; {]color: #[0-9a-f]+", CSS) == []


def test_what_is_folded_is_printed():
    assert "details::details-content" in CSS.partition("@media print")[2]
