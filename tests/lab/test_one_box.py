"""The lab that a page of the documentation tells in pieces is one that loads."""

import re
from pathlib import Path

from homelab_lib.audit.run import findings
from homelab_lib.lab import load_lab
from homelab_lib.lab.checks import lab_faults

PAGE = Path(__file__).resolve().parents[2] / "docs" / "one-box.md"


def test_its_blocks_one_below_the_other_are_a_lab_in_which_nothing_is_wrong(tmp_path):
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "lab.yaml").write_text("".join(blocks))
    lab = load_lab(tmp_path)
    assert not list(lab_faults(lab))
    assert lab.vms["files"].passthrough == ("hba",)
    found = {finding.rule: finding.says for finding in findings(lab)}
    assert "0 of 1 in another place" in found["fewer-than-three-copies"], "as the page says"
    assert "card-without-fast-peer" not in found, "where its ports lead is not described"
