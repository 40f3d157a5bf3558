"""What real UPSes say of themselves through `upsc`, read, and beside what the twin's says."""

from contract.readers import Output, reads
from homelab_lib.control.truenas.ups import readings
from homelab_lib.transport.command import Result, read


class Host:
    """A machine that has said this."""

    name = "there"

    def __init__(self, printed: str) -> None:
        self.printed = printed

    def read(self, *argv: str, **options: object) -> Result:
        assert read(*argv).argv == ("upsc", "ups@localhost")
        return Result(0, self.printed, "")


@reads(r"upsc ups@localhost")
def upses(row: Output) -> None:
    """Every line is read, and all say how they are fed and how much they carry."""
    found = readings(Host(row["output"]), "ups")
    lines = [line for line in row["output"].splitlines() if line.strip()]
    assert len(found) == len(lines)
    assert found["ups.status"].split()[0] == "OL"
    assert float(found["battery.runtime"]) > 0
    assert {"ups.load", "battery.charge"} & found.keys()
    assert found["driver.name"] == "usbhid-ups"
