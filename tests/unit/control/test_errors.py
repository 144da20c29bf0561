from shadowmesh.control.errors import ControlError, DaemonNotRunning, ErrorCode


def test_slugs_are_unique_and_come_back() -> None:
    assert [ErrorCode.of_slug(code.slug) for code in ErrorCode] == list(ErrorCode)


def test_a_code_of_a_later_version_is_a_failure() -> None:
    assert ErrorCode.of_slug("from-the-future") is ErrorCode.FAILED


def test_no_failure_exits_with_zero() -> None:
    assert all(0 < code.exit_code < 126 for code in ErrorCode)


def test_the_text_is_problem_and_remedy() -> None:
    assert str(ControlError(ErrorCode.FAILED, "it broke", "mend it")) == "it broke; mend it"
    assert str(ControlError(ErrorCode.FAILED, "it broke")) == "it broke"
    assert "shadowmesh up" in str(DaemonNotRunning("/x"))
