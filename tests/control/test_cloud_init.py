"""What cloud-init says of a first boot."""

import json

import pytest

from homelab_lib.control.linux.cloud_init import first_boot
from homelab_lib.errors import NotUnderstood


class Host:
    name = "vm"

    def __init__(self, document):
        self.document = document

    def json(self, *argv, **options):
        assert argv == ("cloud-init", "status", "--format", "json", "--long")
        assert options["ok"] == (0, 1, 2)
        return json.loads(json.dumps(self.document))


def boot(**document):
    return first_boot(Host(document))


def test_a_good_one():
    found = boot(status="done", extended_status="done", errors=[], recoverable_errors={})
    assert (found.good, found.at_work, str(found)) == (True, False, "done")


@pytest.mark.parametrize(
    "status", ["running", "degraded running", "error - running", "not started"]
)
def test_one_that_goes_on(status):
    assert boot(status="running", extended_status=status).at_work


def test_a_degraded_one_says_what_failed():
    failed = "Failed to install packages: ['nfs-common']"
    found = boot(
        status="done",
        extended_status="degraded done",
        errors=[],
        recoverable_errors={"WARNING": [failed, "Used fallback datasource"]},
    )
    assert not found.good
    assert not found.at_work
    assert str(found) == f"degraded done; WARNING: {failed}; WARNING: Used fallback datasource"


def test_what_it_only_thinks_old_fashioned_fails_nothing():
    found = boot(
        status="done",
        extended_status="degraded done",
        recoverable_errors={"DEPRECATED": ["Config key 'lists' is deprecated in 22.3"]},
    )
    assert found.good
    assert "DEPRECATED" in str(found)


@pytest.mark.parametrize("extended", ["error - done", "error"])
def test_one_with_errors(extended):
    found = boot(status="error", extended_status=extended, errors=["('runcmd', ProcessError())"])
    assert not found.good
    assert "runcmd" in str(found)


def test_an_older_release_has_no_extended_status():
    assert boot(status="done", errors=[]).good


@pytest.mark.parametrize("document", [[], {}, {"status": "done", "errors": 3}, "done", None])
def test_an_answer_of_another_form_is_one_clear_line(document):
    with pytest.raises(NotUnderstood, match="vm"):
        first_boot(Host(document))
