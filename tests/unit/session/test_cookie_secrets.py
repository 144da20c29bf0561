import pytest
from tests.unit.session.harness import endpoint, seeded_entropy

from shadowmesh.session.cookie_reply import mac2
from shadowmesh.session.cookie_secrets import CookieSecrets
from shadowmesh.session.limits import COOKIE_SECRET_S
from shadowmesh.session.messages import M1_BYTES, M1_PROVED_BYTES

BARE = bytes(M1_PROVED_BYTES)


def test_a_cookie_is_accepted_from_the_address_and_port_that_it_was_given_to() -> None:
    secrets = made()
    cookie = secrets.cookie(endpoint(1), 0.0)
    assert secrets.accepts(shown(cookie), endpoint(1), 1.0)
    assert not secrets.accepts(shown(cookie), endpoint(2), 1.0)
    assert not secrets.accepts(shown(cookie), endpoint(1, port=9), 1.0)


def test_an_absent_or_altered_proof_is_not_accepted() -> None:
    secrets = made()
    message = bytearray(shown(secrets.cookie(endpoint(1), 0.0)))
    assert not secrets.accepts(bytes(M1_BYTES), endpoint(1), 0.0)
    message[-1] ^= 1
    assert not secrets.accepts(bytes(message), endpoint(1), 0.0)


def test_a_proof_is_for_one_message1() -> None:
    secrets = made()
    cookie = secrets.cookie(endpoint(1), 0.0)
    assert not secrets.accepts(b"x" * M1_PROVED_BYTES + mac2(cookie, BARE), endpoint(1), 0.0)


@pytest.mark.parametrize("given_at", [0.0, COOKIE_SECRET_S - 1])
def test_a_cookie_serves_for_two_minutes_at_least_and_four_at_most(given_at: float) -> None:
    secrets = made()
    secrets.cookie(endpoint(3), 0.0)
    cookie = secrets.cookie(endpoint(1), given_at)
    assert secrets.accepts(shown(cookie), endpoint(1), given_at + COOKIE_SECRET_S)
    secrets.cookie(endpoint(3), given_at + COOKIE_SECRET_S)
    assert not secrets.accepts(shown(cookie), endpoint(1), given_at + 2 * COOKIE_SECRET_S)


def test_an_old_secret_is_not_accepted_after_a_long_silence() -> None:
    secrets = made()
    cookie = secrets.cookie(endpoint(1), 0.0)
    assert not secrets.accepts(shown(cookie), endpoint(1), 2 * COOKIE_SECRET_S)


def made() -> CookieSecrets:
    return CookieSecrets(seeded_entropy(1))


def shown(cookie: bytes) -> bytes:
    return BARE + mac2(cookie, BARE)
