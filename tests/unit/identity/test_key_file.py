import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.identity.people import ALICE, BOB

from shadowmesh.files import durable
from shadowmesh.identity import key_file
from shadowmesh.identity.key_file import PassphraseNeeded, WrongPassphrase
from shadowmesh.wire.errors import DecodeError

_VECTORS = json.loads(Path("docs/spec/vectors/identity.json").read_text())
_REASONS = {"DecodeError": DecodeError, "PassphraseNeeded": PassphraseNeeded, "WrongPassphrase": WrongPassphrase}


def test_a_plain_file_gives_the_identity_back() -> None:
    assert key_file.decode(key_file.encode(ALICE, None, no_chance), None).seed == ALICE.seed


def test_a_passphrase_given_for_a_plain_file_is_not_needed() -> None:
    assert key_file.decode(key_file.encode(ALICE, None, no_chance), "anything").seed == ALICE.seed


def test_a_sealed_file_opens_with_its_passphrase_only() -> None:
    sealed = key_file.encode(ALICE, "correct horse", no_chance)
    assert key_file.decode(sealed, "correct horse").seed == ALICE.seed
    with pytest.raises(WrongPassphrase):
        key_file.decode(sealed, "incorrect horse")


def test_a_sealed_file_says_that_it_needs_a_passphrase() -> None:
    sealed = key_file.encode(ALICE, "correct horse", no_chance)
    assert key_file.is_sealed(sealed)
    with pytest.raises(PassphraseNeeded):
        key_file.decode(sealed, None)


def test_a_sealed_file_does_not_contain_the_seed() -> None:
    plain = json.loads(key_file.encode(ALICE, None, no_chance))
    assert plain["seed"].encode() not in key_file.encode(ALICE, "correct horse", no_chance)


def test_salt_and_nonce_are_drawn_anew_for_each_file() -> None:
    drawn: list[int] = []

    def draw(count: int) -> bytes:
        drawn.append(count)
        return bytes([len(drawn)]) * count

    key_file.encode(ALICE, "x", draw)
    assert drawn == [16, 12]


def test_an_accent_may_be_spelled_in_two_ways() -> None:
    sealed = key_file.encode(ALICE, "caf\N{LATIN SMALL LETTER E WITH ACUTE}", no_chance)
    assert key_file.decode(sealed, "cafe\N{COMBINING ACUTE ACCENT}").seed == ALICE.seed


def test_a_passphrase_of_bytes_that_are_not_text_is_as_good_as_any() -> None:
    undecodable = b"\xff\xfe".decode(errors="surrogateescape")
    assert key_file.decode(key_file.encode(ALICE, undecodable, no_chance), undecodable).seed == ALICE.seed


def test_a_changed_seal_does_not_open() -> None:
    document = json.loads(key_file.encode(ALICE, "x", no_chance))
    document["sealed_seed"] = ("B" if document["sealed_seed"][0] == "A" else "A") + document["sealed_seed"][1:]
    with pytest.raises(WrongPassphrase):
        key_file.decode(json.dumps(document).encode(), "x")


def test_the_seed_of_another_key_is_refused() -> None:
    document = json.loads(key_file.encode(ALICE, None, no_chance))
    document["fingerprint"] = str(BOB.fingerprint)
    with pytest.raises(DecodeError, match="does not belong"):
        key_file.decode(json.dumps(document).encode(), None)


@pytest.mark.parametrize("case", _VECTORS["key_files"], ids=lambda case: case["note"])
def test_the_key_files_of_the_spec_open(case: dict[str, Any]) -> None:
    assert key_file.decode(case["file"].encode(), case["passphrase"]).seed.hex() == case["seed"]


@pytest.mark.parametrize("case", _VECTORS["key_files_refused"], ids=lambda case: case["note"])
def test_the_refused_key_files_of_the_spec_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(_REASONS[case["reason"]]):
        key_file.decode(case["file"].encode(), case["passphrase"])


@pytest.mark.parametrize("field", ["format", "kind", "fingerprint", "seed"])
def test_no_field_may_be_missing(field: str) -> None:
    document = json.loads(key_file.encode(ALICE, None, no_chance))
    del document[field]
    with pytest.raises(DecodeError):
        key_file.decode(json.dumps(document).encode(), None)


@pytest.mark.parametrize("seed", ["", "AAAA", "A" * 44, "\u00e9" * 44, "=" * 44, "A" * 43 + "\n", "A" * 86 + "=="])
def test_a_seed_that_is_not_32_bytes_of_base64_is_refused(seed: str) -> None:
    document = json.loads(key_file.encode(ALICE, None, no_chance))
    document["seed"] = seed
    with pytest.raises(DecodeError):
        key_file.decode(json.dumps(document).encode(), None)


def test_every_truncation_is_refused() -> None:
    encoded = key_file.encode(ALICE, None, no_chance).rstrip()
    for length in range(len(encoded)):
        with pytest.raises(DecodeError):
            key_file.decode(encoded[:length], None)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        key_file.decode(data, None)
    with pytest.raises(DecodeError):
        key_file.is_sealed(data)


@pytest.mark.parametrize("opened", [b"[", b'{"x":', b'{"kind":'])
def test_deep_nesting_is_refused(opened: bytes) -> None:
    with pytest.raises(DecodeError):
        key_file.is_sealed((opened * 4096)[:4096])


def test_a_long_file_is_refused_before_it_is_read() -> None:
    with pytest.raises(DecodeError, match="at most 4096"):
        key_file.is_sealed(b" " * 4097)


def test_the_file_on_disk_is_its_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    durable.create(path, key_file.encode(ALICE, None, no_chance))
    assert path.stat().st_mode & 0o777 == 0o600
    assert key_file.decode(path.read_bytes(), None).seed == ALICE.seed


def no_chance(count: int) -> bytes:
    return bytes(count)
