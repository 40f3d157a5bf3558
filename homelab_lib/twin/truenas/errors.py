"""The middleware's errors, and what `midclt` prints of them.

Source: truenas_api_client 24.10 to 26, `midclt call`: text, traceback and extra go to standard
error, the exit status is 1.
"""

import errno
from typing import Self

_OWN_NAMES = {201: "ENOMETHOD", 202: "ESERVICESTARTFAILURE", 205: "EDATASETISLOCKED"}
ENOMETHOD = 201


def error_name(code: int) -> str:
    """``EINVAL`` for 22, and the middleware's own names."""
    return errno.errorcode.get(code) or _OWN_NAMES.get(code, "EUNKNOWN")


class ApiError(Exception):
    """A call that failed."""

    kind = "CallError"

    def lines(self) -> str:
        """What the client prints first."""
        return str(self)


class CallError(ApiError):
    """An error with a number and a text: ``[EFAULT] pool is busy``."""

    def __init__(self, text: str, code: int = errno.EFAULT) -> None:
        super().__init__(f"[{error_name(code)}] {text}")
        self.text = text
        self.code = code


class NoSuchMethod(ApiError):
    """The method is not there, in the words of the release."""


class OwnFault(ApiError):
    """A mistake of the twin's own: no real middleware says this."""

    def __init__(self, where: str, error: Exception) -> None:
        super().__init__(f"twin: fault in {where}: {type(error).__name__}: {error}")


class ValidationErrors(ApiError):
    """Arguments that can't be: ``[EINVAL] field: why``, one line for each."""

    kind = "ValidationErrors"

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[tuple[str, str, int]] = []

    @classmethod
    def one(cls, field: str, why: str, code: int = errno.EINVAL) -> Self:
        """A single one, to be raised."""
        errors = cls()
        errors.add(field, why, code)
        return errors

    def add(self, field: str, why: str, code: int = errno.EINVAL) -> None:
        """Note what is wrong with `field`."""
        self.errors.append((field, why, code))

    def check(self) -> None:
        """Raise, if anything was noted."""
        if self.errors:
            raise self

    def lines(self) -> str:
        return "\n".join(
            f"[{error_name(code)}] {field or 'ALL'}: {why}" for field, why, code in self.errors
        )

    def __str__(self) -> str:
        return "".join(f"[{error_name(code)}] {field}: {why}\n" for field, why, code in self.errors)
