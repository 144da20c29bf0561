"""What can go wrong between a program and the daemon, and the code that says so.

ShadowMeshError
├── DaemonNotRunning   nothing listens on the control socket
└── ControlError       the daemon refused, or answered with something else than this version understands
"""

from __future__ import annotations

from enum import Enum


class ErrorCode(Enum):
    """slug, HTTP status of the control API, exit code of the command line. Spec: docs/spec/control.md, section 4."""

    FAILED = ("failed", 500, 1)
    USAGE = ("usage", 400, 2)
    NOT_RUNNING = ("not-running", 503, 3)
    ALREADY_RUNNING = ("already-running", 409, 4)
    PEER_UNKNOWN = ("peer-unknown", 404, 5)
    NOT_TRUSTED = ("not-trusted", 403, 5)
    ALREADY_TRUSTED = ("already-trusted", 409, 5)
    NAME_TAKEN = ("name-taken", 409, 5)
    UNREACHABLE = ("unreachable", 504, 6)
    IDENTITY = ("identity", 500, 7)
    PRIVILEGE = ("privilege", 500, 8)
    CONFIGURATION = ("configuration", 500, 9)

    def __init__(self, slug: str, http_status: int, exit_code: int) -> None:
        self.slug = slug
        self.http_status = http_status
        self.exit_code = exit_code

    @classmethod
    def of_slug(cls, slug: str) -> ErrorCode:
        """FAILED for a code of a later version."""
        return next((code for code in cls if code.slug == slug), cls.FAILED)


class ShadowMeshError(Exception):
    """An expected failure: `problem` says what is wrong and `remedy` what to do, each part of one line."""

    def __init__(self, code: ErrorCode, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}; {remedy}" if remedy else problem)
        self.code = code
        self.problem = problem
        self.remedy = remedy


class DaemonNotRunning(ShadowMeshError):
    def __init__(self, home: str) -> None:
        super().__init__(ErrorCode.NOT_RUNNING, f"no daemon is running for {home}", "start it with `shadowmesh up`")


class ControlError(ShadowMeshError):
    """The daemon's own words."""
