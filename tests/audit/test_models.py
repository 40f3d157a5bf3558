"""A model takes one number of bytes, whichever page says it."""

from pathlib import Path

import pytest

from homelab_lib.audit.facts_gpu import card_facts, model_facts
from homelab_lib.audit.rules.models import needs
from homelab_lib.lab import load_lab
from homelab_lib.wiring.serving import run_of

LAB = load_lab(Path(__file__).resolve().parents[2] / "data")
ON_ONE_CARD = [model.name for model in LAB.models.values() if len(model.devices) == 1]


@pytest.mark.parametrize("name", ON_ONE_CARD)
def test_the_finding_and_the_page_reckon_alike(name):
    model = LAB.models[name]
    card = card_facts(LAB)[model.devices[0]]
    shown = model_facts(model.part, model.quant).fit(card, run_of(model))
    assert needs(LAB, model).needed_bytes == shown.needed_bytes
