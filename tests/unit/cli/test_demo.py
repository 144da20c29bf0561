import subprocess
import sys

import pytest


@pytest.mark.parametrize("size", ["0", "15", "1000000", "many"])
def test_a_size_out_of_bounds_is_refused_in_one_line(size: str) -> None:
    command = [sys.executable, "-m", "shadowmesh", "demo", "--mib", size]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "Traceback" not in result.stderr
