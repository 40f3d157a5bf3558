"""Which language model fits on which graphics card, with how much context, and how fast."""

from dataclasses import replace
from typing import TYPE_CHECKING

from homelab_lib.audit.facts_gpu import CardFacts, ModelFacts, card_facts, model_facts, placing
from homelab_lib.lab import Lab
from homelab_lib.lab.called import told_apart
from homelab_lib.lab.compute import ServedModel
from homelab_lib.models.architectures import ARCHITECTURES
from homelab_lib.models.placement import place
from homelab_lib.units import format_ibytes
from homelab_lib.views.style import (
    BUSY,
    GOOD,
    HATCH,
    INK,
    PALE,
    PAPER,
    QUIET,
    WARN,
    Drawing,
    house_style,
    svg,
)
from homelab_lib.wiring.serving import Run, run_of

if TYPE_CHECKING:
    import pandas as pd

NO_CARD = "This lab has no graphics card, so nothing here can be asked of it."
NO_MODEL = "This lab serves no model."
_WAYS = {
    "as planned, each VM its own cards": (None, False),
    "one VM for all, CUDA and ROCm": (frozenset({"CUDA", "ROCm"}), True),
    "one VM for all, Vulkan": (frozenset({"Vulkan"}), True),
}


def _said(text: str) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame({"": [text]})


def _missing(lab: Lab, *, served: bool = True) -> str:
    """Why a question can't be asked of this lab; empty where it can."""
    if not card_facts(lab):
        return NO_CARD
    return NO_MODEL if served and not lab.models else ""


def _called(lab: Lab) -> dict[str, str]:
    """What a person calls each card."""
    return told_apart({name: card.title for name, card in card_facts(lab).items()})


def cards(lab: Lab) -> "pd.DataFrame":
    """The cards: what is on the box, what is left of it, and who may use it."""
    import pandas as pd

    if why := _missing(lab, served=False):
        return _said(why)
    called = _called(lab)
    rows = [
        {
            "card": called[card.name],
            "in": card.name.partition(".")[0],
            "memory": format_ibytes(card.vram_bytes),
            "left for models": format_ibytes(card.free_bytes),
            "bandwidth [GB/s]": f"{card.bandwidth_bps / 1e9:.0f}",
            "driven by": ", ".join(card.runtimes),
            "belongs to": card.group,
        }
        for card in card_facts(lab).values()
    ]
    return pd.DataFrame(rows).set_index("card")


def models_to_ask(lab: Lab) -> list[ModelFacts]:
    """The catalog's models at Q4_K_M and those that the lab serves, the lightest first."""
    wanted = {(m.part.name, m.quant): m.part for m in lab.models.values()}
    wanted |= {
        (part.name, "Q4_K_M"): part
        for part in lab.catalog.models.values()
        if part.purpose != "embedding" and part.architecture in ARCHITECTURES
    }
    found = [model_facts(part, quant) for (_, quant), part in wanted.items()]
    return sorted(found, key=lambda model: model.weights_bytes)


def contexts(lab: Lab) -> dict[str, dict[str, int]]:
    """The largest context of each model on each card [tokens]; 0 where it does not fit."""
    there = card_facts(lab)
    return {
        model.title: {name: model.largest_context(card) for name, card in there.items()}
        for model in models_to_ask(lab)
    }


def heat_map(lab: Lab) -> Drawing:
    """Models against cards: the largest context, and how much of the model's own limit it is."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    there, asked, found = card_facts(lab), models_to_ask(lab), contexts(lab)
    called = _called(lab)
    with house_style():
        if not there or not asked:
            figure = Figure(figsize=(6.5, 0.6))
            axes = figure.subplots()
            axes.set_axis_off()
            axes.annotate(_missing(lab) or NO_MODEL, (0, 0.4), xycoords="axes fraction")
            return Drawing(svg(figure), "no graphics card")
        figure = Figure(figsize=(1.75 * len(there) + 2.6, 0.62 * len(asked) + 1.4))
        axes = figure.subplots()
        blues = LinearSegmentedColormap.from_list("fit", [PAPER, PALE[GOOD], BUSY, GOOD])
        for row, model in enumerate(asked):
            for column, (name, card) in enumerate(there.items()):
                tokens = found[model.title][name]
                share = tokens / model.part.context_length
                color = blues(share**0.5) if tokens else PALE[WARN]
                text = _cell(model, card, tokens)
                ink = "white" if share > 0.3 else INK
                axes.barh(row, 0.97, left=column - 0.485, height=0.94, color=color,
                          ec=GOOD if tokens else WARN, lw=0.6,
                          hatch="" if tokens else HATCH[WARN])  # fmt: skip
                ground = None if tokens else {"fc": PALE[WARN], "lw": 0, "pad": 1.5}
                axes.annotate(text, (column, row), ha="center", va="center", color=ink, fontsize=8,
                              bbox=ground)  # fmt: skip
        titles = [
            f"{called[name]}\n{card.vram_bytes / 2**30:.0f} GiB, in {name.partition('.')[0]}"
            for name, card in there.items()
        ]
        axes.set_xticks(range(len(there)), titles)
        labels = [f"{model.title}\n{format_ibytes(model.weights_bytes)}" for model in asked]
        axes.set_yticks(range(len(asked)), labels)
        axes.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False)
        axes.set(xlim=(-0.5, len(there) - 0.5), ylim=(len(asked) - 0.5, -0.5))
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.set_xlabel(
            "largest context in tokens; the darker, the nearer to the model's own limit",
            color=QUIET,
        )
        return Drawing(svg(figure), f"models on the cards of {lab.name}")


def _cell(model: ModelFacts, card: CardFacts, tokens: int) -> str:
    if not tokens:
        short = -model.fit(card, Run(256)).left_bytes
        return f"✕ does not fit\n{format_ibytes(short, digits=1)} short"
    whole = tokens >= model.part.context_length // 256 * 256
    return f"{tokens:,}\n{'all of it' if whole else 'tokens'}"


def served(lab: Lab) -> "pd.DataFrame":
    """The models to be served, where the plan has them: what each part of it takes."""
    import pandas as pd

    if why := _missing(lab):
        return _said(why)
    there, called = card_facts(lab), _called(lab)
    rows = []
    for name, wanted in lab.models.items():
        if len(wanted.devices) != 1 or wanted.devices[0] not in there:
            continue
        card, model = there[wanted.devices[0]], model_facts(wanted.part, wanted.quant)
        run = run_of(wanted)
        fit = model.fit(card, run)
        rows.append(
            {
                "model": name,
                "what": f"{model.title}, {_run(wanted)}",
                "on": called[card.name],
                "weights": format_ibytes(fit.weights_bytes),
                "cache": format_ibytes(fit.cache_bytes),
                "buffer": format_ibytes(fit.compute_bytes),
                "runtime": format_ibytes(fit.overhead_bytes),
                "of": format_ibytes(fit.available_bytes),
                "so": f"{format_ibytes(fit.left_bytes)} free"
                if fit.fits
                else f"{format_ibytes(-fit.left_bytes)} short",
                "largest context": f"{model.largest_context(card, run):,}",
                "tokens/s at most": _roof(model, card, wanted) if fit.fits else "–",
            }
        )
    return pd.DataFrame(rows).set_index("model") if rows else _said(NO_MODEL)


def _run(wanted: ServedModel) -> str:
    """How it is run, in a few words."""
    slots = f"{wanted.parallel} × " if wanted.parallel > 1 else ""
    flash = "" if wanted.flash_attention else ", no flash attention"
    return f"{slots}{wanted.context_tokens} tokens{flash}"


def _roof(model: ModelFacts, card: CardFacts, wanted: ServedModel) -> str:
    if not card.bandwidth_bps or not model.caches:
        return "–"
    rate = model.tokens_per_second([card], [wanted.part.n_layer], run_of(wanted))
    return f"{rate:.0f}"


def ways_out(lab: Lab) -> "pd.DataFrame":
    """For a served model that is too large for its card: lighter quants and caches, same card."""
    import pandas as pd

    if why := _missing(lab):
        return _said(why)
    there, called = card_facts(lab), _called(lab)
    rows = []
    for name, wanted in lab.models.items():
        card = there.get(wanted.devices[0]) if len(wanted.devices) == 1 else None
        tokens = wanted.context_tokens * wanted.parallel
        planned = model_facts(wanted.part, wanted.quant)
        if card is None or planned.fit(card, run_of(wanted)).fits:
            continue
        for quant in dict.fromkeys((wanted.quant, "Q4_K_S", "Q3_K_L", "Q3_K_M", "Q3_K_S")):
            model = model_facts(wanted.part, quant)
            row = {"model": f"{name} on {called[card.name]}", "quant": quant}
            row["weights"] = format_ibytes(model.weights_bytes)
            for cache in ("f16", "q8_0", "q4_0"):
                largest = model.largest_context(card, replace(run_of(wanted), cache_type=cache))
                fits = " ✓" if largest >= tokens else ""
                row[f"context, cache {cache}"] = f"{largest:,}{fits}"
            rows.append(row)
    if not rows:
        return _said("Every model that is served from one card fits there.")
    return pd.DataFrame(rows).set_index(["model", "quant"])


def pooled(lab: Lab) -> "pd.DataFrame":
    """The models that are to be spread over several cards, in three ways of giving them these."""
    import pandas as pd

    if why := _missing(lab):
        return _said(why)
    there = card_facts(lab)
    rows = []
    for name, wanted in lab.models.items():
        several = [there[device] for device in wanted.devices if device in there]
        if len(several) < 2:
            continue
        model = model_facts(wanted.part, wanted.quant)
        run = run_of(wanted)
        for way, (runtimes, one_vm) in _WAYS.items():
            all_models, all_cards = placing(lab, runtimes=runtimes, one_vm=one_vm)
            mine = [card for card in all_cards if card.name in wanted.devices]
            found = place([m for m in all_models if m.name == name], mine)
            row = {"model": f"{name}: {model.title}", "way": way}
            if name in found.unplaced:
                row |= {"layers by card": found.unplaced[name], "largest context": "–"}
                row["tokens/s at most"] = "–"
            else:
                counts = model.split(several, run)
                row["layers by card"] = " + ".join(map(str, counts))
                largest = model.largest_context_over(several, run)
                row["largest context"] = f"{largest:,}"
                rate = model.tokens_per_second(several, counts, run)
                row["tokens/s at most"] = f"{rate:.1f}"
            rows.append(row)
    if not rows:
        return _said("No model of this lab is spread over several cards.")
    return pd.DataFrame(rows).set_index(["model", "way"])


def together(lab: Lab) -> "pd.DataFrame":
    """All served models at once, placed as well as they can be, in the same three ways."""
    import pandas as pd

    if why := _missing(lab):
        return _said(why)
    columns, called = {}, _called(lab)
    for way, (runtimes, one_vm) in _WAYS.items():
        found = place(*placing(lab, runtimes=runtimes, one_vm=one_vm))
        columns[way] = {
            name: ", ".join(called[card] for card in found.layers[name])
            if name in found.layers
            else found.unplaced[name]
            for name in lab.models
        }
    return pd.DataFrame(columns)
