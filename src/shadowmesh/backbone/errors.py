"""BackboneError > Refused (becomes a problem, RFC 9457), CannotStart (becomes one line on the terminal)."""

from shadowmesh.backbone_protocol.problems import Problem


class BackboneError(Exception):
    pass


class Refused(BackboneError):
    """A request that is not served. `retry_after_s`: whole seconds, for problems that pass by themselves."""

    def __init__(self, problem: Problem, detail: str = "", *, retry_after_s: int | None = None) -> None:
        super().__init__(detail or problem.title)
        self.problem = problem
        self.detail = detail
        self.retry_after_s = retry_after_s


class CannotStart(BackboneError):
    """The text says in one line what is wrong and what to do about it."""
