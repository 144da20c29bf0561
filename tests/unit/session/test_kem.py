import pytest

from shadowmesh.session.kem import DecapsulationKey, encapsulate
from shadowmesh.wire.errors import DecodeError


def test_both_sides_have_the_same_secret() -> None:
    key = DecapsulationKey(bytes(range(64)))
    secret, ciphertext = encapsulate(key.encapsulation_key)
    assert key.decapsulate(ciphertext) == secret
    assert (len(secret), len(ciphertext), len(key.encapsulation_key)) == (32, 1568, 1568)


def test_a_key_pair_follows_from_its_seed() -> None:
    assert DecapsulationKey(bytes(64)).encapsulation_key == DecapsulationKey(bytes(64)).encapsulation_key


def test_another_ciphertext_gives_another_secret_rather_than_an_error() -> None:
    key = DecapsulationKey(bytes(64))
    assert key.decapsulate(bytes(1568)) != key.decapsulate(b"\1" * 1568)


def test_a_key_with_a_coefficient_beyond_the_modulus_is_refused() -> None:
    with pytest.raises(DecodeError):
        encapsulate(b"\xff" * 1568)
