"""How bad a link is, and what that is in the words of tc."""

import math
from dataclasses import dataclass

from shadowmesh.lab.errors import CommandError, LabError
from shadowmesh.lab.forwarder import QUEUE_S

UNLIMITED_FRAMES = 100_000  # without a rate, enough for 10 Gbit/s over 100 ms; netem's own 1,000 would drop
_FRAME_BYTES = 1514


@dataclass(frozen=True, slots=True)
class Impairment:
    """What happens to each frame that a host sends. Raises `LabError` for values that no link can have."""

    delay_ms: float = 0.0  # one way
    loss_percent: float = 0.0
    rate_mbit: float | None = None  # 10^6 bits a second; None is as fast as the kernel

    def __post_init__(self) -> None:
        if not 0 <= self.delay_ms <= 60_000:
            raise LabError(f"delay of {self.delay_ms} ms: want 0 to 60000")
        if not 0 <= self.loss_percent <= 100:
            raise LabError(f"loss of {self.loss_percent} %: want 0 to 100")
        if self.rate_mbit is not None and not 0.001 <= self.rate_mbit <= 100_000:
            raise LabError(f"rate of {self.rate_mbit} Mbit/s: want 0.001 to 100000")

    @property
    def rate_bps(self) -> float | None:
        """Bits a second."""
        return None if self.rate_mbit is None else self.rate_mbit * 1e6

    def netem(self) -> list[str]:
        """The arguments after `tc qdisc replace dev X root`."""
        arguments = ["netem", "limit", str(self._limit_frames())]
        if self.delay_ms:
            arguments += ["delay", f"{round(self.delay_ms * 1000)}us"]
        if self.loss_percent:
            arguments += ["loss", f"{self.loss_percent:.4f}%"]
        if self.rate_bps is not None:
            arguments += ["rate", f"{round(self.rate_bps)}bit"]
        return arguments

    def _limit_frames(self) -> int:
        # netem counts the frames that are under way as well as those that wait.
        if self.rate_bps is None:
            return UNLIMITED_FRAMES
        held_s = QUEUE_S + self.delay_ms / 1000
        return max(10, math.ceil(held_s * self.rate_bps / 8 / _FRAME_BYTES))


def kernel_lacks_netem(error: CommandError) -> bool:
    """Whether tc failed because this kernel was built without netem, and not for another reason."""
    return "qdisc kind is unknown" in error.stderr or "qdisc not found" in error.stderr
