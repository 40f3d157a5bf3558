"""Cards as `lspci` tells of them: an Arc behind its own switch, a Radeon, cards that may not be
seen whole. Shapes as owners of such cards have posted them."""

import pytest

from homelab_lib.control.linux.pci import Link, cards, parse
from homelab_lib.errors import HomelabError

ARC = """\
0000:00:1c.0 PCI bridge [0604]: Intel Corporation Alder Lake-N PCI Express Root Port [8086:54bc]
\tBus: primary=00, secondary=01, subordinate=04, sec-latency=0
\tCapabilities: [40] Express (v2) Root Port (Slot+), MSI 00
\t\tLnkCap:\tPort #5, Speed 8GT/s, Width x4, ASPM L0s L1, Exit Latency L0s <1us, L1 <16us
\t\tLnkSta:\tSpeed 8GT/s, Width x2 (downgraded)
\tKernel driver in use: pcieport

0000:01:00.0 PCI bridge [0604]: Intel Corporation Device [8086:e2ff] (rev 01) (prog-if 00 [Normal])
\tRegion 0: Memory at 4018000000 (64-bit, prefetchable) [size=8M]
\tBus: primary=01, secondary=02, subordinate=04, sec-latency=0
\tCapabilities: [70] Express (v2) Upstream Port, MSI 00
\t\tLnkCap:\tPort #0, Speed 16GT/s, Width x8, ASPM L1, Exit Latency L1 <16us
\t\t\tClockPM- Surprise- LLActRep- BwNot- ASPMOptComp+
\t\tLnkSta:\tSpeed 8GT/s (downgraded), Width x2 (downgraded)
\tKernel driver in use: pcieport

0000:02:01.0 PCI bridge [0604]: Intel Corporation Device [8086:e2f0] (prog-if 00 [Normal decode])
\tBus: primary=02, secondary=03, subordinate=03, sec-latency=0
\tCapabilities: [70] Express (v2) Downstream Port (Slot-), MSI 00
\t\tLnkCap:\tPort #0, Speed 2.5GT/s, Width x1, ASPM L0s L1
\t\tLnkSta:\tSpeed 2.5GT/s, Width x1

0000:03:00.0 VGA compatible controller [0300]: Intel Corporation Battlemage G21 [Arc B580] \
[8086:e20b] (prog-if 00 [VGA controller])
\tSubsystem: Acer Incorporated [ALI] Device [1025:1877]
\tRegion 0: Memory at 80000000 (64-bit, non-prefetchable) [size=16M]
\tRegion 2: Memory at 4000000000 (64-bit, prefetchable) [size=256M]
\tExpansion ROM at 81000000 [disabled] [size=2M]
\tCapabilities: [70] Express (v2) Endpoint, IntMsgNum 0
\t\tLnkCap:\tPort #0, Speed 2.5GT/s, Width x1, ASPM L0s L1, Exit Latency L0s <64ns, L1 <1us
\t\tLnkSta:\tSpeed 2.5GT/s, Width x1
\tCapabilities: [420 v1] Physical Resizable BAR
\t\tBAR 2: current size: 256MB, supported: 256MB 512MB 1GB 2GB 4GB 8GB 16GB
\tCapabilities: [220 v1] Virtual Resizable BAR
\t\tBAR 2: current size: 256MB, supported: 256MB 512MB
\tKernel driver in use: xe
\tKernel modules: xe, i915
"""
GEFORCE = """\
0000:01:00.0 VGA compatible controller [0300]: NVIDIA Corporation AD103 [GeForce RTX 4070 Ti \
SUPER] [10de:2705] (rev a1) (prog-if 00 [VGA controller])
\tRegion 1: Memory at f800000000 (64-bit, prefetchable) [size=16G]
    LnkCap: Port #0, Speed 16GT/s, Width x16, ASPM L1, Exit Latency L1 <16us
    LnkSta: Speed 2.5GT/s (downgraded), Width x16 (ok)
\tCapabilities: [bb0 v1] Physical Resizable BAR
\t\tBAR 0: current size: 16MB, supported: 16MB
\t\tBAR 1: current size: 16GB, supported: 64MB 128MB 256MB 512MB 1GB 2GB 4GB 8GB 16GB
\tKernel modules: nvidiafb, nouveau
"""


def test_a_card_with_a_switch_has_the_link_of_its_switch():
    [card] = parse(ARC)
    assert card.slot == "0000:03:00.0"
    assert card.id == "8086:e20b"
    assert card.link == Link(8, 2)
    assert card.could == Link(16, 8)
    assert (card.driver, card.modules) == ("xe", ("xe", "i915"))


def test_a_switch_of_somebody_else_is_no_part_of_the_card():
    [card] = parse(ARC.replace("8086:e2ff", "1022:43f4").replace("8086:e2f0", "1022:43f5"))
    assert card.link == Link(2.5, 1)


def test_its_large_region_tells_whether_bars_were_resized():
    [small] = parse(ARC)
    assert small.bar_bytes == {0: 16 * 2**20, 2: 256 * 2**20}
    assert small.resizable_bytes[2][-1] == 16 * 2**30  # and not what virtual functions may have
    assert small.small_bar == 2
    [large] = parse(GEFORCE)
    assert large.small_bar is None


@pytest.mark.parametrize("place", ["<unassigned>", "<ignored>"])
def test_a_region_without_an_address_is_small(place):
    told = f"Memory at {place} (64-bit, prefetchable) [disabled]"
    [card] = parse(ARC.replace("Memory at 4000000000 (64-bit, prefetchable) [size=256M]", told))
    assert card.small_bar == 2


def test_an_idle_card_is_as_wide_as_ever():
    [card] = parse(GEFORCE)
    assert str(card.link) == "x16 at 2.5 GT/s"
    assert card.driver == ""


@pytest.mark.parametrize(
    "line",
    [
        "LnkSta:\tSpeed 2.5GT/s, Width x16, TrErr- Train- SlotClk+ DLActive- BWMgmt- ABWMgmt-",
        "LnkSta:\tSpeed 2.5GT/s (downgraded), Width x16 (ok)",
        "LnkSta:\tSpeed 2.5GT/s (overdriven), Width x16 (strange)",
    ],
)
def test_links_in_the_words_of_every_pciutils(line):
    text = GEFORCE.replace("LnkSta: Speed 2.5GT/s (downgraded), Width x16 (ok)", line)
    assert parse(text)[0].link == Link(2.5, 16)


def test_what_nobody_may_see_is_not_known():
    lines = [line for line in ARC.splitlines() if "Lnk" not in line and "BAR" not in line]
    [card] = parse("\n".join(lines))
    assert card.link is None
    assert card.small_bar is None


def test_a_link_that_is_down_is_none():
    assert parse(GEFORCE.replace("Width x16 (ok)", "Width x0 (downgraded)"))[0].link is None


class Host:
    name = "nas"

    def __init__(self, printed):
        self.printed = printed

    def read(self, *argv, **options):
        assert options["sudo"]  # only root sees capabilities
        return type("Result", (), {"stdout": self.printed})()


def test_cards_of_a_host():
    assert [card.id for card in cards(Host(ARC + "\n" + GEFORCE))] == ["8086:e20b", "10de:2705"]
    with pytest.raises(HomelabError, match="names no device"):
        cards(Host("pcilib: Cannot open /proc/bus/pci\n"))
