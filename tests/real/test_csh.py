"""A real csh reads each of these lines as the twin's does."""

import shutil
import subprocess

import pytest

from csh_lines import LINES

pytestmark = pytest.mark.real


@pytest.mark.parametrize(("line", "status", "out", "err"), LINES)
def test_tcsh_says_the_same(tmp_path, line, status, out, err):
    if shutil.which("tcsh") is None:
        pytest.skip("this machine has no tcsh")
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(
        ["tcsh", "-f", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (status, out, err)
