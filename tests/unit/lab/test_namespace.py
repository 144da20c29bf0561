from contextlib import nullcontext
from pathlib import Path

import pytest

from shadowmesh.lab import namespace
from shadowmesh.lab.errors import CommandError, LabError, Unavailable
from shadowmesh.lab.namespace import Namespace


def test_a_program_that_is_not_installed_is_not_started(tmp_path: Path) -> None:
    alice = Namespace("sm-test-alice", "sm-test", tmp_path)
    with pytest.raises(Unavailable, match="no-such-program is not installed"):
        alice.start(["no-such-program"])
    with pytest.raises(Unavailable, match="no-such-program is not installed"):
        alice.run(["no-such-program"])
    assert alice.processes == []
    assert list(tmp_path.iterdir()) == []


def test_a_setting_is_read_where_the_namespace_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Namespace, "enter", lambda _self: nullcontext())
    alice = Namespace("sm-test-alice", "sm-test", Path())
    assert alice.read_sysctl("ipv4/ip_forward") in ("0", "1")
    with pytest.raises(LabError, match="this kernel has no net/ipv4/no_such_setting"):
        alice.read_sysctl("ipv4/no_such_setting")


def test_a_namespace_that_is_gone_cannot_be_entered() -> None:
    with (
        pytest.raises(LabError, match="/run/netns/sm-test-gone: the namespace is gone"),
        Namespace("sm-test-gone", "sm-test", Path()).enter(),
    ):
        pass


def test_a_batch_fails_with_the_cause_and_not_with_the_line_that_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(command: list[str], stdin: str) -> None:
        assert stdin == "link set lo up\nlink set x up\n"
        raise CommandError(command, 1, "Command failed -:2", 'Cannot find device "x"\nCommand failed -:2\n')

    monkeypatch.setattr(namespace, "run", fail)
    with pytest.raises(CommandError, match=r'^ip -n sm-test link set lo up; link set x up: Cannot find device "x"$'):
        Namespace("sm-test", "sm-test", Path()).ip(["link set lo up", "link set x up"])
