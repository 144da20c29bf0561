import json
from pathlib import Path

from shadowmesh.identity.names import Fingerprint
from shadowmesh.paths.lan.pair_secret import PairSecret, tag_of

VECTORS = json.loads(Path("docs/spec/vectors/lan.json").read_text())
A, B, C = (Fingerprint(letter * 32) for letter in (b"a", b"b", b"c"))
NONCE = bytes(range(16))


def test_tags_and_keys_are_those_of_the_vectors() -> None:
    announcer, nonce = Fingerprint(bytes.fromhex(VECTORS["announcer"])), bytes.fromhex(VECTORS["nonce"])
    for listener in VECTORS["listeners"]:
        secret = PairSecret.derive(announcer, Fingerprint(bytes.fromhex(listener["fingerprint"])), nonce)
        assert (secret.tag.hex(), secret.key.hex()) == (listener["tag"], listener["key"])


def test_each_pair_each_direction_and_each_nonce_has_its_own() -> None:
    secrets = [
        PairSecret.derive(A, B, NONCE),
        PairSecret.derive(B, A, NONCE),
        PairSecret.derive(A, C, NONCE),
        PairSecret.derive(A, B, bytes(16)),
    ]
    assert len({secret.tag for secret in secrets}) == len({secret.key for secret in secrets}) == len(secrets)


def test_the_tag_alone_is_the_same() -> None:
    assert tag_of(A, B, NONCE) == PairSecret.derive(A, B, NONCE).tag


def test_the_key_is_not_printed() -> None:
    secret = PairSecret.derive(A, B, NONCE)
    assert repr(secret.key) not in repr(secret)
