import pytest

from shadowmesh.demo.screen import Screen


def test_a_step_is_a_line_with_its_result(capsys: pytest.CaptureFixture[str]) -> None:
    with Screen(quiet=False).step("alice logs in") as step:
        step.result = "12 ms"
    assert capsys.readouterr().out == "  ✓ alice logs in: 12 ms\n"


def test_a_step_that_fails_is_not_ticked_off(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(quiet=False)
    with pytest.raises(RuntimeError), screen.step("alice logs in"):
        raise RuntimeError
    assert "✓" not in capsys.readouterr().out


def test_the_table_has_all_rows(capsys: pytest.CaptureFixture[str]) -> None:
    Screen(quiet=False).table("Measured", [("first ping", "1.2 ms"), ("file", "1 GiB")])
    printed = capsys.readouterr().out
    assert "Measured" in printed
    assert "1.2 ms" in printed
    assert "1 GiB" in printed


def test_a_quiet_screen_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(quiet=True)
    with screen.step("alice logs in"):
        pass
    with screen.transfer("file", 10) as show:
        show(10)
    screen.note("backbone killed")
    screen.heading("ShadowMesh")
    screen.table("Measured", [("a", "b")])
    assert capsys.readouterr().out == ""
