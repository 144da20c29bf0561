"""The one error tree of every codec: ValueError > DecodeError > NotCanonical."""


class DecodeError(ValueError):
    """Bytes that are not a legal message: the text says which rule they break, never what they contain."""


class NotCanonical(DecodeError):
    """Well-formed CBOR that is not in the deterministic form (RFC 8949 §4.2.1)."""
