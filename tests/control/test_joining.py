"""A worker's own journal says what keeps it out of its cluster."""

import pytest

from homelab_lib.control.kubernetes.joining import LetIn


@pytest.mark.parametrize(
    ("said", "waiting", "conflict"),
    [
        ("", "", ""),
        ('time="x" level=info msg="Waiting to retrieve agent configuration; server is not ready: '
         'Node password rejected, duplicate hostname"', "", "impostor"),
        ('level=info msg="Waiting to retrieve agent configuration; server is not ready: failed to '
         'get CA certs: connection refused"', "connection refused", ""),
        ('level=info msg="Waiting to retrieve agent configuration; server is not ready: x"\n'
         'level=info msg="Running kubelet --address=0.0.0.0"', "", ""),
    ],
)  # fmt: skip
def test_what_its_journal_says(said, waiting, conflict):
    class Host:
        def read(self, *argv, **options):
            return type("Result", (), {"stdout": said})

    wait = LetIn("worker", "server")
    diff = wait.diff(wait.observe(Host()))
    assert waiting in diff.waiting
    assert conflict in diff.conflict
    assert diff.clean == (not waiting and not conflict)
