import pytest

from shadowmesh.records.region import Region


@pytest.mark.parametrize("region", Region)
def test_a_region_comes_back_from_its_number(region: Region) -> None:
    assert Region.of(int(region)) is region


@pytest.mark.parametrize("number", [8, 255, -1])
def test_a_number_without_a_name_is_unknown(number: int) -> None:
    assert Region.of(number) is Region.UNKNOWN


def test_the_label_is_what_configuration_says() -> None:
    assert Region.NORTH_AMERICA.label == "north_america"


def test_the_numbers_never_change() -> None:
    assert [region.name for region in sorted(Region)] == [
        "UNKNOWN",
        "NORTH_AMERICA",
        "LATIN_AMERICA",
        "EUROPE",
        "ASIA_PACIFIC",
        "AUSTRALIA",
        "AFRICA",
        "MIDDLE_EAST",
    ]
