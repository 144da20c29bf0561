import pytest

from shadowmesh.lab import network
from shadowmesh.lab.errors import LabError, Unavailable
from shadowmesh.lab.network import Network


def test_a_network_that_is_not_open_has_no_room_for_hosts() -> None:
    with pytest.raises(LabError, match="within its `with` block"):
        Network().host("alice")


@pytest.mark.parametrize("name", ["", "Alice", "al ice", "-alice", "../alice", "a" * 32, "switch"])
def test_a_name_that_cannot_be_a_namespace_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="a host's name"):
        Network().host(name)


def test_closing_a_network_that_was_never_open_does_nothing() -> None:
    Network().close()


def test_entering_without_the_privilege_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "missing_privilege", lambda: "not root")
    with pytest.raises(Unavailable, match=r"^not root$"):
        Network().__enter__()
