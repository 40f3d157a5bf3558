"""The appliances' data is there, and is what its reader takes it for."""

import pytest

from contract.oracle import contract

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("release", ["25.04.2", "25.10.0", "25.10.5", "26.0.0-beta.3"])
def test_truenas_tells_its_methods(release):
    methods = contract(f"truenas-{release}.json.gz")["methods"]
    assert {"accepts", "returns"} <= methods["app.create"].keys()


def test_the_verdicts_have_both_kinds():
    verdicts = {accepted for _, _, _, accepted, *_ in contract("truenas-calls.jsonl.gz")}
    assert verdicts == {True, False}
