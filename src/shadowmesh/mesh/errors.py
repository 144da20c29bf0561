"""What a command on the mesh can be refused for.

MeshError
├── NotTrusted
├── PeerAlreadyTrusted
├── NameTaken
├── OverlayAddressTaken
└── TrustListFull
"""


class MeshError(Exception):
    """A command that can't be carried out; the text is one clear line for a person."""


class NotTrusted(MeshError):
    """The peer is not in the trust list."""


class PeerAlreadyTrusted(MeshError):
    """The fingerprint is in the trust list already, or is our own."""


class NameTaken(MeshError):
    """Another trusted peer has this name."""


class OverlayAddressTaken(MeshError):
    """Another trusted peer has the same overlay address, which two keys share only if somebody searched for it."""


class TrustListFull(MeshError):
    """The trust list holds as many peers as it may."""
