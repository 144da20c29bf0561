"""Whose keys the vectors use, and when they are made."""

from typing import Any

from shadowmesh.identity.keys import Identity

Case = dict[str, Any]

NOW = 1_800_000_000
ALICE, BOB, CAROL, DAVE = (Identity(bytes([number]) * 32) for number in (1, 2, 3, 4))
