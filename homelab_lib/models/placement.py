"""Which models run on which graphics cards at once: an exact answer, and why there is none.

References
----------
Q. Huangfu, J. A. J. Hall, "Parallelizing the dual revised simplex method" (HiGHS), Mathematical
Programming Computation 10, 2018; used through `scipy.optimize.milp`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from homelab_lib.models.bounds import COUNT, NOT_NEGATIVE, POSITIVE, holds


@dataclass(frozen=True)
@holds(vram_bytes=NOT_NEGATIVE, bandwidth_bps=POSITIVE)
class Card:
    """A graphics card as a place for models.

    Parameters
    ----------
    name
        The card.
    vram_bytes
        What it has for models and their buffers, overhead taken off [bytes].
    bandwidth_bps
        Memory bandwidth [bytes/s].
    runtimes
        What drives it: ``cuda``, ``rocm``, ``vulkan``, ``sycl``.
    group
        Cards of one VM or host share it; a model is split within a group only.
    """

    name: str
    vram_bytes: int
    bandwidth_bps: float
    runtimes: frozenset[str]
    group: str


@dataclass(frozen=True)
@holds(layers=COUNT, layer_bytes=NOT_NEGATIVE, buffer_bytes=NOT_NEGATIVE, weight=POSITIVE)
class Model:
    """A model that should run.

    Parameters
    ----------
    name
        The model.
    layers
        Layers it can be split at.
    layer_bytes
        Weights and cache of a layer [bytes].
    buffer_bytes
        What each card that has some of it needs besides [bytes].
    runtimes
        What it can be served by.
    weight
        How much a token per second of it is worth.
    """

    name: str
    layers: int
    layer_bytes: float
    buffer_bytes: float
    runtimes: frozenset[str]
    weight: float = 1.0


@dataclass(frozen=True)
class Placement:
    """Where the models run.

    Parameters
    ----------
    layers
        Layers by model and card; a model that is not placed has no entry.
    runtime
        The runtime of each card that is used.
    unplaced
        Why a model found no place.
    """

    layers: Mapping[str, Mapping[str, int]]
    runtime: Mapping[str, str] = field(default_factory=dict)
    unplaced: Mapping[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return not self.unplaced


def place(models: Sequence[Model], cards: Sequence[Card]) -> Placement:
    """The placement that serves the most (by weight), and among those the fastest.

    Each model stays within one group of cards and one runtime; each card runs one runtime; each
    card's memory holds the layers and buffers it is given.

    Parameters
    ----------
    models
        What should run at the same time.
    cards
        Where it may.

    Returns
    -------
    Placement
        Optimal; with the reason for every model that is left out.

    Raises
    ------
    ValueError
        Names that are given twice.

    References
    ----------
    A mixed-integer program; HiGHS proves its optimum.
    """
    _unique("model", [model.name for model in models])
    _unique("card", [card.name for card in cards])
    options = _options(models, cards)
    chosen = _solve(models, cards, options) if options else {}
    layers = {m.name: chosen[m.name][1] for m in models if m.name in chosen}
    runtime = {card: chosen[m][0] for m in chosen for card in chosen[m][1]}
    left = {m.name: _reason(m, cards, options) for m in models if m.name not in chosen}
    return Placement(layers, runtime, left)


def _unique(kind: str, names: Sequence[str]) -> None:
    double = {name for name in names if names.count(name) > 1}
    if double:
        raise ValueError(f"{kind} {sorted(double)[0]!r} is given twice")


_Option = tuple[int, str, str]  # model, group, runtime


def _options(models: Sequence[Model], cards: Sequence[Card]) -> list[_Option]:
    """Where each model could be by kind alone: a group with a card of a runtime it has."""
    found = {
        (number, card.group, runtime)
        for number, model in enumerate(models)
        for card in cards
        for runtime in model.runtimes & card.runtimes
    }
    return sorted(found)


def _solve(
    models: Sequence[Model], cards: Sequence[Card], options: list[_Option]
) -> dict[str, tuple[str, dict[str, int]]]:
    """The program: choose an option per model, a runtime per card, layers per option and card."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import lil_array

    spots = [
        (o, c)
        for o, (_, group, runtime) in enumerate(options)
        for c, card in enumerate(cards)
        if card.group == group and runtime in card.runtimes
    ]
    runtimes = [(c, runtime) for c, card in enumerate(cards) for runtime in sorted(card.runtimes)]
    pick, use = 0, len(options)  # columns: an option is taken; a spot is used; its layers; runtime
    layers, drive = use + len(spots), use + 2 * len(spots)
    columns = drive + len(runtimes)
    rows: list[tuple[dict[int, float], float, float]] = []
    for number in range(len(models)):
        taken = {pick + o: 1.0 for o, option in enumerate(options) if option[0] == number}
        if taken:
            rows.append((taken, 0, 1))
    for o, (number, _, _) in enumerate(options):
        row = {layers + s: 1.0 for s, spot in enumerate(spots) if spot[0] == o}
        rows.append((row | {pick + o: -float(models[number].layers)}, 0, 0))
    for s, (o, c) in enumerate(spots):
        count = float(models[options[o][0]].layers)
        rows.append(({layers + s: 1.0, use + s: -count}, -np.inf, 0))
        driven = drive + runtimes.index((c, options[o][2]))
        rows.append(({use + s: 1.0, driven: -1.0}, -np.inf, 0))
    for c, card in enumerate(cards):
        held: dict[int, float] = {}
        for s, (o, where) in enumerate(spots):
            if where == c:
                model = models[options[o][0]]
                held[layers + s] = model.layer_bytes / 2**30
                held[use + s] = model.buffer_bytes / 2**30
        rows.append((held, -np.inf, card.vram_bytes / 2**30))
        rows.append(({drive + r: 1.0 for r, (w, _) in enumerate(runtimes) if w == c}, 0, 1))
    matrix = lil_array((len(rows), columns))
    for r, (row, _, _) in enumerate(rows):
        for column, value in row.items():
            matrix[r, column] = value
    # Serving counts first; then the seconds a token takes, scaled to stay below one model's worth.
    slowness = np.zeros(columns)
    for s, (o, c) in enumerate(spots):
        model = models[options[o][0]]
        slowness[layers + s] = model.weight * model.layer_bytes / cards[c].bandwidth_bps
        slowness[use + s] = 1e-6  # rather few cards than many
    worst = sum(
        max(slowness[layers + s], 0) * models[options[o][0]].layers
        for s, (o, _) in enumerate(spots)
    ) + 1e-6 * len(spots)
    least = min(model.weight for model in models)
    objective = slowness * (0.5 * least / max(worst, 1e-12))
    for o, (number, _, _) in enumerate(options):
        objective[pick + o] = -models[number].weight
    limits = np.ones(columns)
    for s, (o, _) in enumerate(spots):
        limits[layers + s] = models[options[o][0]].layers
    result = milp(
        objective,
        constraints=LinearConstraint(
            matrix.tocsr(), [low for _, low, _ in rows], [high for _, _, high in rows]
        ),
        bounds=Bounds(0, limits),
        integrality=np.ones(columns),
    )
    found: dict[str, tuple[str, dict[str, int]]] = {}
    for o, (number, _, runtime) in enumerate(options):
        if result.x[pick + o] > 0.5:
            counts = {
                cards[c].name: round(result.x[layers + s])
                for s, (option, c) in enumerate(spots)
                if option == o and result.x[layers + s] > 0.5
            }
            found[models[number].name] = (runtime, counts)
    return found


def _reason(model: Model, cards: Sequence[Card], options: list[_Option]) -> str:
    """Why a model has no place, the nearest reason first."""
    able = [card for card in cards if card.runtimes & model.runtimes]
    if not able:
        return f"no card runs {' or '.join(sorted(model.runtimes))}"
    best = 0.0
    for group in {card.group for card in able}:
        for runtime in model.runtimes:
            inside = [c for c in able if c.group == group and runtime in c.runtimes]
            whole = sum(
                int(max(c.vram_bytes - model.buffer_bytes, 0) // model.layer_bytes)
                if model.layer_bytes
                else model.layers
                for c in inside
            )
            best = max(best, whole)
    if best < model.layers:
        return f"{model.layers} layers, and the best group of cards holds {best:.0f} of them"
    return "it fits alone, and the cards are taken by models that are worth more"
