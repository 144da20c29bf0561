"""Refusals."""

from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone_protocol.problems import Problem


def test_a_refusal_says_its_detail_or_else_the_problems_title() -> None:
    assert str(Refused(Problem.NOT_FOUND, "no such thing")) == "no such thing"
    assert str(Refused(Problem.NOT_FOUND)) == Problem.NOT_FOUND.title
