"""Every table of a session under a flood that aims at it: each stays at or under its named bound."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sized

import pytest
