from tests.sim.world import identity_number

from shadowmesh.identity.keys import Identity
from shadowmesh.mesh.directory_trust import DirectoryTrust
from shadowmesh.mesh.state import BackbonePin
from shadowmesh.records.directory import BackboneNode, Directory

A, B, C = (identity_number(3000 + number) for number in range(3))
PIN_A = BackbonePin("https://a.example", A.fingerprint)
NOW = 1_800_000_000


def test_the_pins_judge_the_first_directory() -> None:
    trust = DirectoryTrust([PIN_A], b"")
    assert "majority" in trust.receive(directory(1, B), NOW)
    assert trust.version == 0
    assert trust.receive(directory(1, A), NOW) == ""
    assert trust.version == 1


def test_each_version_judges_the_next() -> None:
    trust = DirectoryTrust([PIN_A], directory(1, A))
    assert "majority" in trust.receive(directory(2, A), NOW)  # one of three keys
    assert trust.receive(directory(2, B, C), NOW) == ""


def test_a_version_never_goes_back() -> None:
    trust = DirectoryTrust([PIN_A], directory(5, A))
    assert "not higher" in trust.receive(directory(5, A, B, C), NOW)
    assert "not higher" in trust.receive(directory(4, A, B, C), NOW)


def test_an_expired_directory_is_not_taken() -> None:
    assert "expired" in DirectoryTrust([PIN_A], b"").receive(directory(1, A), NOW + 90 * 86400)


def test_bytes_that_are_no_directory_are_not_taken() -> None:
    trust = DirectoryTrust([PIN_A], b"")
    assert trust.receive(b"\xff", NOW) != ""
    assert trust.nodes == ()


def test_without_pins_nothing_is_believed() -> None:
    assert DirectoryTrust([], b"").receive(directory(1, A, B, C), NOW) != ""


def test_a_saved_directory_that_can_not_be_read_is_left_out() -> None:
    trust = DirectoryTrust([PIN_A], b"rubbish")
    assert (trust.version, trust.encoded) == (0, b"")


def directory(version: int, *signers: Identity) -> bytes:
    nodes = tuple(BackboneNode(node.public, 0, "https://node.example", ()) for node in (A, B, C))
    return Directory(version, NOW, NOW + 86400, nodes).sign(*signers).encoded
