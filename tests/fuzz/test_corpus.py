import pytest
from fuzz.run import CORPUS, Finding, corpus_of, fuzz, try_input
from fuzz.targets import TARGETS, Target


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_every_input_of_the_corpus_is_read_or_refused_by_a_typed_error(target: Target) -> None:
    assert [finding for data in corpus_of(target) if (finding := try_input(target, data))] == []


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_short_run_finds_nothing(target: Target) -> None:
    assert fuzz(target, inputs=100, seed=0) is None


def test_every_target_has_a_corpus_and_every_corpus_a_target() -> None:
    assert sorted(folder.name for folder in CORPUS.iterdir()) == sorted(target.name for target in TARGETS)


def test_an_error_of_another_type_is_found() -> None:
    finding = try_input(Target("broken", lambda data: data[99]), b"\1\2")
    assert finding is not None
    assert "IndexError" in str(finding)
    assert "0102" in str(finding)


def test_a_run_is_repeated_by_its_seed() -> None:
    first, second = (run_into_a_wall(seed=7) for _ in range(2))
    assert first == second


def run_into_a_wall(seed: int) -> bytes:
    def decode(data: bytes) -> None:
        if len(data) % 3 == 1:
            raise KeyError

    finding = fuzz(Target("hints", decode), inputs=1000, seed=seed)
    assert isinstance(finding, Finding)
    return finding.data
