"""What seals the packets of a session. Spec: docs/spec/session.md, section 5."""

from enum import Enum

from shadowmesh.records.peer_record import Capability
from shadowmesh.session.messages import Claim


class Cipher(Enum):
    """The names are the packet engine's; they also stand in the derivation of the PSK."""

    CHACHA20_POLY1305 = "chacha20poly1305"
    AES_256_GCM = "aes256gcm"


def agreed_cipher(one: Claim, other: Claim) -> Cipher:
    """AES-256-GCM when both have signed that they prefer it."""
    both = one.capabilities & other.capabilities
    return Cipher.AES_256_GCM if both & Capability.AES_256_GCM else Cipher.CHACHA20_POLY1305
