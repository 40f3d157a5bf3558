"""One shortage, one number: wherever the same sum stands, it is the same."""

import re

from homelab_lib.audit.facts_budgets import memory_facts
from homelab_lib.audit.ledger import judge
from homelab_lib.audit.run import findings
from homelab_lib.lab import load_lab

GIB = 2**30


def test_what_a_host_has_too_little_memory_by():
    lab = load_lab()
    found = findings(lab)
    rule = next(each for each in found if each.rule == "memory-sold-twice")
    facts = next(each for each in memory_facts(lab) if each.host == "proxmox")
    assert facts.room.left_bytes == rule.number
    told = f"{-facts.room.left_bytes / GIB:.1f} GiB too many"
    assert told in rule.says
    claims = [each.says for each in judge(lab, found) if "too many" in each.says]
    assert claims
    assert {re.search(r"[\d.]+ GiB too many", says)[0] for says in claims} == {told}
    assert sum(size for _, size in facts.shares) - facts.installed_bytes == -facts.room.left_bytes
