"""System calls that the kernel refuses, as an older kernel or a container does."""

import ctypes
import errno
import os
import platform
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_ARGUMENTS_AT = 16  # of struct seccomp_data, eight bytes each
_NUMBERS = {"x86_64": {"ioctl": 16, "setsockopt": 54}, "aarch64": {"ioctl": 29, "setsockopt": 208}}
T = TypeVar("T")

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A system call with this value as the argument of this number (from 0), and the error it gets."""

    call: str
    argument: int
    value: int
    error: int = errno.EINVAL


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def under(refusals: Sequence[Refusal], make: Callable[[], T]) -> T:
    """What `make` returns. It, and all threads that it starts, meet the refusals; this thread does not."""
    made: list[T] = []

    def run() -> None:
        _install(refusals)
        made.append(make())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return made[0]


def _install(refusals: Sequence[Refusal]) -> None:
    code = b"".join(_compile(refusal) for refusal in refusals) + _instruction(_RETURN, _ALLOW)
    program = _Program(len(code) // 8, code)
    if _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _compile(refusal: Refusal) -> bytes:
    number = _NUMBERS[platform.machine()][refusal.call]
    return (
        _instruction(_LOAD, 0)
        + _instruction(_JUMP_IF_EQUAL, number, otherwise=3)
        + _instruction(_LOAD, _ARGUMENTS_AT + 8 * refusal.argument)
        + _instruction(_JUMP_IF_EQUAL, refusal.value, otherwise=1)
        + _instruction(_RETURN, _ERRNO | refusal.error)
    )


def _instruction(code: int, value: int, *, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, 0, otherwise, value)
