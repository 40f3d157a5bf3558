"""What real TrueNAS systems printed, through the seeding and the readers, and beside the twin's."""

import json
import shlex
from typing import Any

import pytest

from contract.oracle import contract
from contract.small_nas import made, small_nas
from homelab_lib.control.truenas import midclt
from homelab_lib.transport.command import Result
from homelab_lib.twin.truenas.seeding import seed_truenas

pytestmark = pytest.mark.contract


def outputs(words: str) -> list[tuple[str, Any]]:
    """Outputs of commands with these words in them, as values, with their releases."""
    found = [
        (row["release"], midclt.parse(row["output"]))
        for row in contract("real-outputs.jsonl")
        if row["product"] == "TrueNAS" and words in row["command"]
    ]
    assert found, f"no output of {words} is given"
    return found


def seeded_with(**answers: Any) -> Any:
    """A twin of a NAS that answers so, and else as the small one does."""
    nas, twin = small_nas("25.10.5"), small_nas("25.10.5", pool=False)

    def ask(host: str, argv: Any) -> tuple[int, str, str]:
        if argv[0] == "midclt" and argv[2] in answers:
            return 0, json.dumps(answers[argv[2]]), ""
        reply = nas.run(shlex.join(argv)).finished()
        return reply.status, reply.out.decode(), reply.err.decode()

    seed_truenas(twin, ask)
    return twin


@pytest.mark.parametrize("words", ["midclt call pool.query | jq", "v2.0/pool"])
def test_a_real_pool_is_that_pool_in_the_twin(words):
    for _, rows in outputs(words):
        if isinstance(rows, dict):
            continue  # one that was cut to a few columns
        for row in rows:
            twin = seeded_with(**{"pool.query": [row], "pool.dataset.query": []})
            [shown] = made(twin, "pool.query")
            sizes = {"allocated", "allocated_str", "free", "free_str"}  # those of its datasets
            assert {key: shown[key] for key in row.keys() - sizes} == {
                key: row[key] for key in row.keys() - sizes
            }
            assert shown["size"] == row["size"]


def test_the_twins_rows_have_the_shape_of_real_ones():
    """Where a real row has a key, the twin's has it too, with a value of the same type."""
    nas = small_nas("25.10.5")
    for method, words in (("pool.query", "pool.query | jq"), ("disk.query", "call disk.query")):
        ours = made(nas, method)[0]
        for _, rows in outputs(words):
            for row in rows if isinstance(rows, list) else [rows]:
                for key, value in row.items():
                    assert key in ours, (method, key)
                    both = {type(value), type(ours[key])} - {type(None)}
                    assert len(both) < 2, (method, key, both)


def test_real_disks_are_those_disks_in_the_twin():
    for _, rows in outputs("call disk.query"):
        details = {"used": [], "unused": [row | {"imported_zpool": None} for row in rows]}
        twin = seeded_with(**{"disk.details": details, "pool.query": []})
        found = {row["name"]: row for row in made(twin, "disk.query")}
        for row in rows:
            kept = {key: found[row["name"]][key] for key in row.keys() - {"lunid"}}
            assert kept == {key: row[key] for key in kept}


def test_a_real_jobs_end_is_understood():
    for _, answer in outputs("core.get_jobs"):
        host = Answering(answer["result"])
        progress = midclt.follow_job(host, midclt_result("53\n"))
        assert progress.done
        assert progress.error == ""


def test_an_unknown_method_is_refused_in_the_real_ones_words():
    for _, answer in outputs("JSON-RPC error"):
        says = json.loads(answer["error"])["message"]
        reply = small_nas("25.10.5").run("midclt call service.frobnicate")
        assert reply.status == 1
        assert says in reply.err.decode()


class Answering:
    """A host that answers the same to everything."""

    name = "nas"

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def read(self, *argv: str, **options: Any) -> Any:
        return midclt_result(json.dumps(self.rows))


def midclt_result(text: str) -> Any:
    return Result(0, text, "")
