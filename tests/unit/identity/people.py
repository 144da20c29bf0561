"""Nodes with names: fixed seeds, so that a failure can be repeated."""

from functools import cache

from shadowmesh.identity.keys import Identity


@cache
def identity(number: int) -> Identity:
    return Identity(number.to_bytes(32, "big"))


ALICE = identity(0xA11CE)
BOB = identity(0xB0B)
CAROL = identity(0xCA201)
