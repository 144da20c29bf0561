"""Checks that tests/unit mirrors src/shadowmesh: each module with code has its test file, each test file its module.

What does not fit into the test file of a module stands beside it, in `test_MODULE_WHAT.py`.

A module without a function of its own (constants, enumerations, plain dataclasses, error types) has nothing to
test and may go without, as may `__init__.py` and `__main__.py`. Run it from the repository's root.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path("src/shadowmesh")
TESTS = Path("tests/unit")


def main() -> int:
    problems = [*modules_without_test(), *tests_without_module()]
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    return 1 if problems else 0


def modules_without_test() -> Iterator[str]:
    for module in sorted(SOURCE.rglob("*.py")):
        test = test_of(module)
        if not module.name.startswith("__") and has_code(module) and not test.exists():
            yield f"{module} has no {test}"


def tests_without_module() -> Iterator[str]:
    tested = {test_of(module) for suffix in ("py", "pyi") for module in SOURCE.rglob(f"*.{suffix}")}
    for test in sorted(TESTS.rglob("test_*.py")):
        if tested.isdisjoint([test, *shorter_names(test)]):
            yield f"{test} tests no module: put it where its module is, or outside {TESTS}"


def shorter_names(test: Path) -> Iterator[Path]:
    """`test_a_b_c.py` may be more of `test_a_b.py`, or of `test_a.py`."""
    name = test.stem
    while (end := name.rfind("_")) > len("test"):
        name = name[:end]
        yield test.with_stem(name)


def test_of(module: Path) -> Path:
    """The test of `a/b.py` is `a/test_b.py`, that of `_engine.pyi` is `test_engine.py`."""
    relative = module.relative_to(SOURCE)
    return TESTS / relative.parent / f"test_{relative.stem.lstrip('_')}.py"


def has_code(module: Path) -> bool:
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    return any(isinstance(node, functions) and does_something(node) for node in ast.walk(ast.parse(module.read_text())))


def does_something(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """False for the methods of a Protocol: a docstring and `...`."""
    return any(
        not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for statement in function.body
    )


if __name__ == "__main__":
    sys.exit(main())
