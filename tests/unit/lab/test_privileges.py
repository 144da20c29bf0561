from pathlib import Path

import pytest

from shadowmesh.lab import privileges
from shadowmesh.lab.errors import Unavailable


def test_a_missing_program_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert privileges.missing_privilege() == "ip is not installed: apt-get install iproute2"
    with pytest.raises(Unavailable, match="iproute2"):
        privileges.ensure_privileges()


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
        ("user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"),
    ],
)
def test_the_setting_that_forbids_user_namespaces_is_named(tmp_path: Path, name: str, value: str, advice: str) -> None:
    path = tmp_path / name
    path.parent.mkdir()
    path.write_text(f"{value}\n")
    assert privileges.advice(tmp_path) == f"run as root (sudo), or: {advice}"


def test_without_such_a_setting_only_root_is_left(tmp_path: Path) -> None:
    assert privileges.advice(tmp_path) == "run as root (sudo)"


def test_a_tun_device_that_can_be_opened_is_enough(tmp_path: Path) -> None:
    device = tmp_path / "tun"
    device.touch()
    privileges.require_tun(device)


def test_a_missing_tun_device_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"^no /.*/tun: modprobe tun"):
        privileges.require_tun(tmp_path / "tun")


def test_a_tun_device_that_may_not_be_opened_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, flags: int) -> int:
        raise PermissionError

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(Unavailable, match="not open to this user: run as root, or chmod 0666"):
        privileges.require_tun()
