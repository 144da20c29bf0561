"""ML-KEM-1024 (FIPS 203) for one exchange."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM1024PrivateKey, MLKEM1024PublicKey

from shadowmesh.wire.errors import DecodeError

KEM_SEED_BYTES = 64  # d || z, FIPS 203 §7.1


class DecapsulationKey:
    """The initiator's half: about 0.05 ms to make, 0.05 ms to use."""

    def __init__(self, seed: bytes) -> None:
        self._key = MLKEM1024PrivateKey.from_seed_bytes(seed)
        self.encapsulation_key = self._key.public_key().public_bytes_raw()

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """Never fails: a ciphertext for another key gives a secret that nobody else has (FIPS 203 §6.3)."""
        return self._key.decapsulate(ciphertext)


def encapsulate(encapsulation_key: bytes) -> tuple[bytes, bytes]:
    """(shared secret of 32 bytes, ciphertext). Raises DecodeError for a key that fails the check of FIPS 203 §7.2.

    The one place where chance does not come in from outside: the library draws its own and takes none.
    """
    try:
        public_key = MLKEM1024PublicKey.from_public_bytes(encapsulation_key)
    except ValueError:
        raise DecodeError("M1: not an ML-KEM-1024 encapsulation key") from None
    return public_key.encapsulate()
