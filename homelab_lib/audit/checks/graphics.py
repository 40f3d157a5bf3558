"""Checks of graphics cards: memory for language models, cards taken as one, video."""

from collections.abc import Sequence

from homelab_lib.audit.checks import About, CannotTell, Outcome, check, wanted
from homelab_lib.audit.checks.facts import follow, matching, quantity
from homelab_lib.audit.checks.links import leaf_of
from homelab_lib.audit.facts_gpu import (
    LEAST_BITS,
    USEFUL_TOKENS,
    CardFacts,
    ModelFacts,
    card_facts,
    class_bytes,
    class_context,
    model_facts,
    nearest_chat,
)
from homelab_lib.audit.finding import Finding, Verdict
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.part import Part
from homelab_lib.models.transcode import PIXELS, Stream, bus_need_bps
from homelab_lib.wiring.serving import Run, buffer_bytes, cache_bytes, run_of

GIB = 2**30
_SHORT, _LONG = 4096, 8192
_FILM_FPS = 24.0


def _card(lab: Lab, name: str) -> CardFacts:
    cards = card_facts(lab)
    if name not in cards:
        raise CannotTell(f"the lab has no graphics card {name!r}")
    return cards[name]


def _nearest(lab: Lab, parameters: float) -> ModelFacts:
    """The catalog's chat model nearest in size, at Q4_K_M."""
    found = nearest_chat(lab, parameters)
    if found is None:
        raise CannotTell("the catalog has no chat model to scale from")
    return found


def _takes(model: ModelFacts, parameters: float, tokens: int, overhead: int) -> float:
    """Memory of a model of another size but the same shape [bytes]."""
    weights = model.weights_bytes * parameters / model.part.parameters
    run = Run(tokens)
    return weights + int(cache_bytes(model.part, run)) + _buffer(model, run) + overhead


def _buffer(model: ModelFacts, run: Run) -> int:
    return int(buffer_bytes(model.part, run))


@check("vram-class")
def vram_class(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """A ``size`` class of models takes what the lab's table says, and fits the cards it names."""
    row = next((each for each in lab.model_classes if each.size == wanted(about, "size")), None)
    if row is None:
        raise CannotTell(f"the lab has no class of models {about['size']!r}")
    low = _takes(_nearest(lab, row.parameters_low), row.parameters_low, _SHORT, GIB // 2)
    high = _takes(_nearest(lab, row.parameters_high), row.parameters_high, _LONG, GIB // 2)
    most = row.vram_high_bytes or float("inf")
    says = [
        f"At Q4_K_M it takes {low / GIB:.1f} GiB with {_SHORT} tokens (the smallest of the class) "
        f"to {high / GIB:.1f} GiB with {_LONG} (the largest)."
    ]
    verdict: Verdict = "holds"
    if row.needs_several:
        largest = max(card_facts(lab).values(), key=lambda card: card.vram_bytes)
        fits = largest.vram_bytes >= low
        verdict = "fails" if fits or low < row.vram_low_bytes else "holds"
        says.append(f"The largest card, {largest.title}, has {largest.vram_bytes / GIB:g} GiB.")
        return Outcome(verdict, " ".join(says), low, "B")
    if high > most or low < row.vram_low_bytes:
        verdict = "holds-if"
        says.append(f"Said are {row.vram_low_bytes / GIB:g} to {most / GIB:g}.")
    rules: tuple[str, ...] = ()
    like = _nearest(lab, row.parameters_low)
    for name in row.devices:
        card = _card(lab, name)
        if low <= card.vram_bytes:
            continue
        tokens = class_context(like, row.parameters_low, LEAST_BITS, card)
        if not tokens:
            least = class_bytes(like, row.parameters_low, LEAST_BITS) + card.overhead_bytes
            says.append(
                f"{card.title} has {card.vram_bytes / GIB:g} GiB, and at {LEAST_BITS} bits a "
                f"weight, without any context, it is {least / GIB:.1f} GiB."
            )
        else:
            says.append(
                f"{card.title} holds it at Q4_0 with {tokens} tokens at most, and with no desktop "
                "on it, which takes 0.3 to 1.5 GiB."
            )
        if tokens < USEFUL_TOKENS:
            verdict, rules = "fails", ("size-class-does-not-fit",)
        elif verdict == "holds":
            verdict = "holds-if"
    prefix = "If the context is short: " if verdict == "holds-if" else ""
    return Outcome(verdict, prefix + " ".join(says), low, "B", rules)


@check("fits-gpu")
def fits(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """A served ``model`` fits the card it is on; with less context than planned it is a maybe."""
    served = lab.models.get(wanted(about, "model"))
    if served is None:
        raise CannotTell(f"the lab serves no model {about['model']!r}")
    cards = [_card(lab, name) for name in served.devices]
    try:
        model = model_facts(served.part, served.quant)
    except ValueError as error:
        raise CannotTell(str(error)) from None
    tokens = served.context_tokens * served.parallel
    longest = model.largest_context_over(cards, run_of(served))
    where = " + ".join(card.title for card in cards)
    says = f"{served.part.title} at {served.quant} fits {where} with up to {longest} tokens"
    if longest >= tokens:
        return Outcome("holds", f"{says}; {tokens} are planned.", float(longest), "tokens")
    rules = ("model-does-not-fit",)
    fix = next((f.fix for f in matching(findings, rules, f"models.{served.name}") if f.fix), None)
    if longest:
        says = f"If the context is shorter: {says}, and {tokens} are planned."
        return Outcome("holds-if", says, float(longest), "tokens", rules, fix)
    says = f"{served.part.title} at {served.quant} does not fit {where} with any context."
    return Outcome("fails", says, 0.0, "tokens", rules, fix)


@check("pooled-vram")
def pooled(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """The memory of ``devices`` adds up to what is ``claimed``; whether it is one, rules say."""
    cards = [_card(lab, name) for name in wanted(about, "devices")]
    found = sum(card.vram_bytes for card in cards)
    claimed = quantity(wanted(about, "claimed"))
    says = f"{' + '.join(f'{card.vram_bytes / GIB:g}' for card in cards)} = {found / GIB:g} GiB."
    if found != claimed:
        return Outcome("fails", says, float(found), "B")
    rules = ("memory-not-pooled",)
    apart = [each for each in matching(findings, rules) if each.subject.startswith("pooled_vram")]
    if apart:
        says = f"If only the sum is meant: {says} {apart[0].says}"
        return Outcome("holds-if", says, float(found), "B", rules, apart[0].fix)
    return Outcome("holds", says, float(found), "B")


# Video -------------------------------------------------------------------------------------------


def _part(lab: Lab, device: str) -> tuple[str, Part]:
    """The part that does the video of ``host.device``, or of ``host.cpu``."""
    host, _, name = device.partition(".")
    path = f"hosts.{host}.cpu" if name == "cpu" else f"hosts.{host}.devices.{name}.part"
    return path, follow(lab, path)[0]


@check("codec", by="catalog")
def codec(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """``device`` decodes and encodes the ``codec``, or doesn't, as is said."""
    _, part = _part(lab, wanted(about, "device"))
    name = wanted(about, "codec")
    says: list[str] = []
    verdict: Verdict = "holds"
    for field in ("decodes", "encodes"):
        if field[:-1] not in about:
            continue
        able = name in getattr(part, field, ())
        status = part.status.get(field, "")
        says.append(f"{part.title} {field if able else 'does not ' + field[:-1]} {name}"
                    + (f" ({status})." if status else "."))  # fmt: skip
        if able != about[field[:-1]]:
            verdict = "fails"
        elif status == "unverified" and verdict == "holds":
            verdict = "holds-if"
    prefix = "If the catalog is right: " if verdict == "holds-if" else ""
    return Outcome(verdict, prefix + " ".join(says))


@check("tone-mapping", by="catalog")
def tone_mapping(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """``full`` devices map HDR tones, ``limited`` ones less well.

    Jellyfin's guide: it works on all Intel graphics that decode 10-bit HEVC.
    """
    able = []
    for device in (*wanted(about, "full"), *about.get("limited", ())):
        _, part = _part(lab, device)
        if "HEVC" in getattr(part, "decodes", ()):
            able.append(part.title)
    says = f"{' and '.join(able) or 'Nothing'} decode HEVC, and so map tones in full [jellyfin.org]"
    wrong = [device for device in about.get("limited", ()) if _part(lab, device)[1].title in able]
    lacking = [d for d in about["full"] if _part(lab, d)[1].title not in able]
    if wrong or lacking:
        return Outcome("fails", f"{says}; said otherwise of {', '.join((*wrong, *lacking))}.")
    return Outcome("holds", f"{says}.")


@check("transcode")
def transcode(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """``streams`` at once of ``source`` films on ``device``: what they ask, and who could tell.

    Engine rates are published nowhere, so this is never more than untestable; too narrow a link
    fails. With ``link_only`` the link alone is judged.
    """
    size, count = wanted(about, "source"), float(wanted(about, "streams"))
    if size not in PIXELS:
        raise CannotTell(f"no frame size is known for {size!r}")
    rate = 60e6 if size == "4K" else 10e6
    film = Stream("hevc", "h264", PIXELS[size], PIXELS["1080p"], _FILM_FPS, rate, 8e6)
    raw = count * bus_need_bps(film, frames_on_card=False)
    need = count * bus_need_bps(film)
    pixels = count * film.source_pixels * _FILM_FPS
    says = f"{count:g} films at {size} are {pixels / 1e6:.0f} million pixels/s"
    device = wanted(about, "device")
    if device.endswith(".cpu"):
        carries = float("inf")
    else:
        leaf, _ = leaf_of(lab, device)
        carries = leaf.payload.lower * 1e9 if leaf.payload else 0.0
        says += (
            f"; the link carries {carries / 1e9:.1f} Gb/s, and {need / 1e9:.2f} are needed, or "
            f"{raw / 1e9:.1f} if every raw frame crossed it"
        )
    if need > carries:
        return Outcome("fails", f"{says}.", need, "bit/s")
    if about.get("link_only"):
        return Outcome("holds", f"{says}.", need, "bit/s")
    says += f". {about.get('because', '')}".rstrip(" .")
    says += f". Settled by: {wanted(about, 'command')}"
    return Outcome("untestable-here", says, pixels, "1/s")
