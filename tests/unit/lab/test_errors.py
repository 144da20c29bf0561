from shadowmesh.lab.errors import CommandError, LabError


def test_a_failed_command_is_told_with_the_command_and_the_cause() -> None:
    error = CommandError(["ip", "link"], 1, "no such device", "no such device\n")
    assert str(error) == "ip link: no such device"
    assert (error.command, error.returncode, error.stderr) == (("ip", "link"), 1, "no such device\n")
    assert isinstance(error, LabError)
