"""A card's driver, and the restart that brings the kernel which has it."""

import pytest

from control.test_cases import Canned
from homelab_lib.control.linux.card_driver import CardDriver

KERNEL = "6.8.0-85-generic"
ANSWERS = {
    "lsmod": "Module                  Size  Used by\nvirtio_net  90112  0\n",
    "uname -r": f"{KERNEL}\n",
    "modinfo": {
        "status": 1,
        "stderr": f"modinfo: ERROR: Module nvidia not found in directory /lib/modules/{KERNEL}\n",
    },
}


@pytest.mark.parametrize(
    ("begun", "sent", "again"),
    [
        (False, (), True),
        (False, ("systemctl reboot",), False),
        # The line was cut, or whoever sent it was gone before: it may never have come.
        (True, ("systemctl reboot",), True),
    ],
)
def test_a_machine_is_restarted_once_and_again_only_where_nobody_heard_of_it(begun, sent, again):
    driver = CardDriver("gpu1", "nvidia")
    diff = driver.diff(driver.observe(Canned(ANSWERS, begun, sent)))
    assert [change.call.argv for change in diff.changes] == [("systemctl", "reboot")] * again
    assert bool(diff.waiting) is not again
