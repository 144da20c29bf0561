from __future__ import annotations

import hashlib
import json

from tests.unit.session.harness import identity
from tests.unit.session.session_vectors import PATH

from shadowmesh.identity.keys import Identity
from shadowmesh.session.fragments import HEADER_BYTES, MAC_BYTES
from shadowmesh.session.macs import GateKeys, MacWriter, macs_of

HEADER = bytes(range(HEADER_BYTES))


def test_the_keys_of_a_node_follow_from_its_public_key() -> None:
    vector = json.loads(PATH.read_text())["message1"]
    public = Identity(bytes.fromhex(vector["responder_seed"])).public
    keys = GateKeys.of(public)
    assert keys.mac1 == hashlib.sha256(b"mac1" + public.public_key).digest()
    assert (keys.mac1.hex(), keys.cookie.hex()) == (vector["mac1_key"], vector["cookie_key"])
    assert len({keys.mac1, keys.cookie, GateKeys.of(identity(3).public).mac1}) == 3


def test_mac1_depends_on_the_key_and_on_every_byte_of_the_header() -> None:
    def mac1(key: bytes, header: bytes) -> bytes:
        return MacWriter(key)(header)[:MAC_BYTES]

    changed = [bytes([*HEADER[:at], HEADER[at] ^ 1, *HEADER[at + 1 :]]) for at in range(HEADER_BYTES)]
    macs = {mac1(bytes(32), header) for header in (HEADER, *changed)} | {mac1(bytes([1]) * 32, HEADER)}
    assert len(macs) == HEADER_BYTES + 2


def test_mac2_is_zero_without_a_cookie_and_depends_on_it() -> None:
    writers = [MacWriter(bytes(32)), MacWriter(bytes(32), b"c" * 16), MacWriter(bytes(32), b"d" * 16)]
    first, *shown = (writer(HEADER) for writer in writers)
    assert first[MAC_BYTES:] == bytes(MAC_BYTES)
    assert len({first[:MAC_BYTES], *(macs[:MAC_BYTES] for macs in shown)}) == 1
    assert len({first, *shown}) == 3


def test_mac2_is_that_of_the_spec() -> None:
    vector = {name: value for name, value in json.loads(PATH.read_text())["cookie_reply"].items() if name != "refused"}
    covered, cookie = bytes.fromhex(vector["header_and_mac1"]), bytes.fromhex(vector["cookie"])
    expected = hashlib.blake2s(covered, key=cookie, digest_size=16).hexdigest()
    assert vector["mac2"] == expected
    assert macs_of(bytes.fromhex(vector["answered"])) == covered[HEADER_BYTES:] + bytes(MAC_BYTES)


def test_keys_and_cookies_are_not_printed() -> None:
    assert "Z" not in repr(GateKeys(b"Z" * 32, b"Z" * 32)) + repr(MacWriter(b"Z" * 32, b"Z" * 16))
