import re

import pytest

from shadowmesh.backbone_protocol.problems import Problem


@pytest.mark.parametrize("problem", Problem)
def test_a_problem_is_found_by_its_urn(problem: Problem) -> None:
    assert Problem.of_urn(problem.urn) is problem


def test_an_unknown_urn_is_no_problem_of_ours() -> None:
    assert Problem.of_urn("about:blank") is None


@pytest.mark.parametrize("problem", Problem)
def test_a_problem_has_a_name_for_programs_an_error_status_and_a_title_for_people(problem: Problem) -> None:
    assert re.fullmatch(r"urn:shadowmesh:problem:[a-z]+(-[a-z]+)*", problem.urn)
    assert problem.urn.endswith(problem.name.lower().replace("_", "-"))
    assert 400 <= problem.status < 600
    assert problem.title


def test_no_two_problems_are_the_same() -> None:
    assert len({problem.slug for problem in Problem}) == len(list(Problem)) == len({p.title for p in Problem})
