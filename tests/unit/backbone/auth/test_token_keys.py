"""Keys change daily and are kept as long as tokens live."""

import stat
from pathlib import Path

import pytest
from tests.unit.backbone.world import SettableClock, seeded

from shadowmesh.backbone.auth.token_keys import TokenKeys
from shadowmesh.backbone.errors import CannotStart
from shadowmesh.identity.names import PeerID

DAY_S = 86_400
ISSUER = PeerID(b"i" * 20)


def test_the_file_is_private_and_gives_the_same_key_again(tmp_path: Path) -> None:
    clock = SettableClock()
    first = make(tmp_path, clock).current()
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
    assert make(tmp_path, clock).current() == first


def test_a_new_day_has_a_new_key_and_yesterdays_stays_one_more(tmp_path: Path) -> None:
    clock = SettableClock()
    keys = make(tmp_path, clock)
    kid, key = keys.current()
    clock.advance(DAY_S)
    assert keys.current()[1] != key
    assert keys.find(kid) == key
    clock.advance(DAY_S)
    keys.current()
    assert keys.find(kid) is None
    assert make(tmp_path, clock).find(kid) is None


def test_the_kid_of_another_issuer_finds_nothing(tmp_path: Path) -> None:
    clock = SettableClock()
    keys = make(tmp_path, clock)
    kid, _ = keys.current()
    assert keys.find("0" * 16 + kid[16:]) is None


@pytest.mark.parametrize("kid", ["", ".", "x.y", "69" * 8 + ".²", "69" * 8 + "." + "9" * 400])
def test_a_strange_kid_finds_nothing(tmp_path: Path, kid: str) -> None:
    assert make(tmp_path, SettableClock()).find(kid) is None


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"format":"shadowmesh-token-keys-1","keys":{"1":"AA=="}}'])
def test_a_damaged_file_is_named_and_not_overwritten(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keys.json").write_bytes(content)
    with pytest.raises(CannotStart, match=r"keys\.json"):
        make(tmp_path, SettableClock())
    assert (tmp_path / "keys.json").read_bytes() == content


def make(folder: Path, clock: SettableClock) -> TokenKeys:
    return TokenKeys(folder / "keys.json", ISSUER, clock, seeded(int(clock.now)))
