"""What `lspci` printed of real cards, read for what is known of them."""

from contract.readers import Output, reads
from homelab_lib.control.linux.pci import Link, parse


@reads(r"lspci -nnvv")
def whole_cards(row: Output) -> None:
    """Every card is found, with its regions as they stand there."""
    found = parse(row["output"])
    heads = [line for line in row["output"].splitlines() if line and not line[0].isspace()]
    assert len(found) == len(heads)
    for card, head in zip(found, heads, strict=True):
        assert f"[{card.id}]" in head
        assert f"[{card.class_code}]:" in head
        assert card.title in head
    sizes = [size for card in found for size in card.bar_bytes.values()]
    assert len(sizes) == row["output"].count("Memory at")


@reads(r"lspci -nnk")
def drivers(row: Output) -> None:
    said = row["output"].count("Kernel driver in use:")
    assert sum(bool(card.driver) for card in parse(row["output"])) == said


@reads(r"lspci -vv \(GPU, link lines\)")
def links(row: Output) -> None:
    head = "01:00.0 VGA compatible controller [0300]: NVIDIA Corporation AD102 [10de:2684]\n"
    [card] = parse(head + row["output"])
    assert (card.link, card.could) == (Link(2.5, 16), Link(16, 16))
