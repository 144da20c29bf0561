from shadowmesh.paths.lan.per_second import PerSecond


def test_so_many_a_second_and_no_more() -> None:
    rate = PerSecond(2)
    assert [rate.take(at) for at in (5.0, 5.1, 5.2, 5.9, 6.0, 6.5, 6.6)] == [
        True,
        True,
        False,
        False,
        True,
        True,
        False,
    ]
