from shadowmesh.mesh.saving import MIN_CACHE_INTERVAL_S, SaveSchedule


def test_a_changed_cache_is_saved_at_most_every_five_seconds() -> None:
    schedule = SaveSchedule()
    schedule.saved(100.0)
    schedule.cache_changed()
    schedule.cache_changed()
    assert not schedule.is_due(104.9)
    assert schedule.next_timeout() == 100.0 + MIN_CACHE_INTERVAL_S
    assert schedule.is_due(105.0)


def test_after_a_quiet_time_it_is_saved_at_once() -> None:
    schedule = SaveSchedule()
    schedule.saved(0.0)
    schedule.cache_changed()
    assert schedule.is_due(50.0)


def test_nothing_is_due_when_nothing_changed() -> None:
    schedule = SaveSchedule()
    schedule.cache_changed()
    schedule.saved(1.0)
    assert not schedule.is_due(1e9)
    assert schedule.next_timeout() is None
