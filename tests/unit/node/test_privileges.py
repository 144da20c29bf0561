import subprocess
import sys

import pytest

from shadowmesh.node.privileges import missing_tun_privilege


@pytest.mark.privileged
def test_root_may_make_a_device() -> None:
    assert missing_tun_privilege() is None


@pytest.mark.privileged
def test_an_ordinary_user_is_told_what_is_missing() -> None:
    code = "import os; from shadowmesh.node.privileges import missing_tun_privilege as missing; missing();"
    done = subprocess.run(
        [sys.executable, "-c", code + "os.setuid(65534); print(missing())"], capture_output=True, text=True, check=True
    )
    assert "CAP_NET_ADMIN" in done.stdout or "/dev/net/tun" in done.stdout
