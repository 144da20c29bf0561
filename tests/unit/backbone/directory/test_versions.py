from shadowmesh.backbone.directory.versions import next_version


def test_a_version_is_higher_than_one_that_another_node_signed_a_little_earlier() -> None:
    assert next_version(0, now=1000.250) > next_version(0, now=1000.125)


def test_a_version_is_higher_than_the_last_one_when_the_clock_went_back() -> None:
    assert next_version(5000_000, now=1000.0) == 5000_001
