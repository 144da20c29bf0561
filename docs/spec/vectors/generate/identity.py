"""Keys, names, signatures and key files."""

from __future__ import annotations

import json
from collections.abc import Iterator

from people import ALICE, BOB, CAROL, Case

from shadowmesh.identity import bech32m, key_file
from shadowmesh.identity.keys import Identity
from shadowmesh.identity.names import OVERLAY_NETWORK


def identity_vectors() -> Case:
    return {
        "overlay_network": str(OVERLAY_NETWORK),
        "keys": [key_case(name, identity) for name, identity in (("alice", ALICE), ("bob", BOB), ("carol", CAROL))],
        "signatures": list(signature_cases()),
        "names_refused": list(refused_names()),
        "key_files": list(key_files()),
        "key_files_refused": list(refused_key_files()),
    }


def key_case(name: str, identity: Identity) -> Case:
    return {
        "note": name,
        "seed": identity.seed.hex(),
        "public_key": identity.public.public_key.hex(),
        "fingerprint": identity.fingerprint.raw.hex(),
        "fingerprint_text": str(identity.fingerprint),
        "peer_id": identity.peer_id.raw.hex(),
        "peer_id_text": str(identity.peer_id),
        "overlay_address": str(identity.peer_id.overlay_address),
        "derived": [
            {"label": label, "key": identity.derive(label.encode()).hex()} for label in ("", "shadowmesh/v1/example")
        ],
    }


def signature_cases() -> Iterator[Case]:
    context, message = "shadowmesh/v1/login-client", b"an example"
    signature = ALICE.sign(message, context=context.encode())
    empty = ALICE.sign(message, context=b"")
    flipped = bytes([signature[0] ^ 1]) + signature[1:]
    for note, signer, used_context, used_message, used_signature, valid in (
        ("good", ALICE, context, message, signature, True),
        ("good, with an empty context as in COSE", ALICE, "", message, empty, True),
        ("another role's context", ALICE, "shadowmesh/v1/login-server", message, signature, False),
        ("no context where one was signed", ALICE, "", message, signature, False),
        ("another key", BOB, context, message, signature, False),
        ("another message", ALICE, context, b"an example.", signature, False),
        ("one bit of the signature flipped", ALICE, context, message, flipped, False),
        ("a byte short", ALICE, context, message, signature[:-1], False),
    ):
        yield {
            "note": note,
            "seed": signer.seed.hex(),
            "context": used_context,
            "message": used_message.hex(),
            "signature": used_signature.hex(),
            "valid": valid,
        }


def refused_names() -> Iterator[Case]:
    name = str(ALICE.fingerprint)
    for note, text in (
        ("nothing", ""),
        ("one character mistyped", name[:10] + ("q" if name[10] != "q" else "p") + name[11:]),
        ("two characters swapped", name[:11] + name[12] + name[11] + name[13:]),
        ("cut short", name[:-1]),
        ("upper and lower case", name[:10] + name[10:].upper()),
        ("another prefix", bech32m.encode("bc", ALICE.fingerprint.raw)),
        ("19 bytes", bech32m.encode("sm", bytes(19))),
        ("21 bytes", bech32m.encode("sm", bytes(21))),
        ("33 bytes", bech32m.encode("sm", bytes(33))),
        ("the checksum of BIP-173", "sm1" + "q" * 32 + bech32_checksum("sm", [0] * 32)),
        ("a letter that lower-cases to ASCII", name.upper().replace("K", "\N{KELVIN SIGN}", 1)),
    ):
        yield {"note": note, "text": text}


def bech32_checksum(prefix: str, values: list[int]) -> str:
    """BIP-173's, which differs from bech32m's in one constant."""
    alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    expanded = [ord(x) >> 5 for x in prefix] + [0] + [ord(x) & 31 for x in prefix]
    polymod = 1
    for value in [*expanded, *values, 0, 0, 0, 0, 0, 0]:
        top = polymod >> 25
        polymod = (polymod & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            polymod ^= generator if (top >> i) & 1 else 0
    polymod ^= 1
    return "".join(alphabet[(polymod >> 5 * (5 - i)) & 31] for i in range(6))


def key_files() -> Iterator[Case]:
    for note, passphrase in (("plain", None), ("sealed", "correct horse"), ("sealed, NFC", "caf\u00e9")):
        file = key_file.encode(ALICE, passphrase, counting).decode()
        yield {"note": note, "file": file, "passphrase": passphrase, "seed": ALICE.seed.hex()}
    file = key_file.encode(ALICE, "caf\u00e9", counting).decode()
    yield {"note": "passphrase not in NFC", "file": file, "passphrase": "cafe\u0301", "seed": ALICE.seed.hex()}


def refused_key_files() -> Iterator[Case]:
    plain = json.loads(key_file.encode(ALICE, None, counting))
    sealed = json.loads(key_file.encode(ALICE, "correct horse", counting))
    for note, document, passphrase, reason in (
        ("wrong passphrase", sealed, "incorrect horse", "WrongPassphrase"),
        ("no passphrase", sealed, None, "PassphraseNeeded"),
        ("a seed of 31 bytes", plain | {"seed": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ=="}, None, "DecodeError"),
        ("another key's fingerprint", plain | {"fingerprint": str(BOB.fingerprint)}, None, "DecodeError"),
        ("an unknown format", plain | {"format": "shadowmesh-key-2"}, None, "DecodeError"),
        ("an unknown kind", plain | {"kind": "rot13"}, None, "DecodeError"),
        ("an unknown field", plain | {"note": "mine"}, None, "DecodeError"),
        ("a salt of another length", sealed | {"salt": "AAAA"}, "correct horse", "DecodeError"),
    ):
        yield {"note": note, "file": json.dumps(document), "passphrase": passphrase, "reason": reason}
    yield {"note": "not JSON", "file": "{", "passphrase": None, "reason": "DecodeError"}


def counting(count: int) -> bytes:
    return bytes(range(count))
