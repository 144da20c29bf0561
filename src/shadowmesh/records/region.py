"""Regions of the backbone."""

from enum import IntEnum


class Region(IntEnum):
    """One byte in records and cache entries. A record of a region that we don't know yet is legal."""

    UNKNOWN = 0
    NORTH_AMERICA = 1
    LATIN_AMERICA = 2
    EUROPE = 3
    ASIA_PACIFIC = 4
    AUSTRALIA = 5
    AFRICA = 6
    MIDDLE_EAST = 7

    @property
    def label(self) -> str:
        """The name in configuration and output, such as `north_america`."""
        return self.name.lower()

    @classmethod
    def of(cls, value: int) -> "Region":
        """UNKNOWN for a number without a name."""
        return cls(value) if value in cls._value2member_map_ else cls.UNKNOWN
