"""Numbers of directory versions."""


def next_version(last: int, *, now: float) -> int:
    """Milliseconds since 1970, or one more than `last` if that is higher.

    Operators bring together nodes that have each signed a first version of their own: a version made afterwards is
    higher than all of them.
    """
    return max(int(now * 1000), last + 1)
