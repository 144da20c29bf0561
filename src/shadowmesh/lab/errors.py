"""What can go wrong in the lab. Each error's text is one line that a person can act on.

LabError
├── Unavailable      this machine or this user cannot have a lab
└── CommandError     a command failed or took too long
"""

from collections.abc import Sequence


class LabError(Exception):
    """The lab was used wrongly, or the kernel refused."""


class Unavailable(LabError):
    """A privilege, a program or a kernel feature is missing; the text says which and what to do."""


class CommandError(LabError):
    """A command failed. `returncode` is None where it took too long and was killed."""

    def __init__(self, command: Sequence[str], returncode: int | None, reason: str, stderr: str = "") -> None:
        super().__init__(f"{' '.join(command)}: {reason}")
        self.command = tuple(command)
        self.returncode = returncode
        self.stderr = stderr
