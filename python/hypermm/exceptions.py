"""Every exception hypermm raises on purpose; each is also the built-in a caller would look for.

::

    Exception
    └── HypermmError
        ├── InvalidInputError(ValueError)       an argument: non-finite, out of range, off the grid, wrong length
        ├── InvalidConfigError(ValueError)      a config field: unknown, out of range, of the wrong type or unit
        ├── TimeOrderError(ValueError)          an event earlier than the last one
        ├── SnapshotError(ValueError)           snapshot bytes damaged, foreign or of another version
        ├── EngineBusyError(RuntimeError)       the object is in use by another call; nothing waited, nothing happened
        ├── SigningKeyError(ValueError)         a key file: not ours alone, not a key, or the master key
        ├── NonceError(RuntimeError)            a signer's nonce counter: in use, damaged, or far from the clock
        ├── RecordingError(ValueError)          a recording: file, column or row missing or corrupt; has ``row``
        ├── UnknownCoinError(LookupError)       a coin that is not there, or no longer trades
        ├── WireError(ValueError)               a frame or answer of the venue that cannot be read; has ``channel``
        ├── VenueError(RuntimeError)            the venue cannot be reached, or refuses a request as a whole
        │   └── AnswerLostError                 no answer to an action: it may have been carried out, or may be yet
        ├── MissingDependencyError(ImportError) an extra that is not installed
        └── InternalError(RuntimeError)         a bug in hypermm, caught before it could abort the process

After any of them but `InternalError` the object that raised is exactly as it was before the call.
"""

from __future__ import annotations

import re

__all__ = [
    "AnswerLostError",
    "EngineBusyError",
    "HypermmError",
    "InternalError",
    "InvalidConfigError",
    "InvalidInputError",
    "MissingDependencyError",
    "NonceError",
    "RecordingError",
    "SigningKeyError",
    "SnapshotError",
    "TimeOrderError",
    "UnknownCoinError",
    "VenueError",
    "WireError",
]


# As in rust/signing/src/error.rs, but only the word or phrase is left out: what is around it says where it stood.
_LONG_WORD = re.compile(r"\w{48,}")
_DIGITS_OF_A_KEY = re.compile(r"[0-9a-fA-F]{48}")
_PHRASE = re.compile(r"\b[^\W\d_]{3,8}(?:[\s,]+[^\W\d_]{3,8}\b){11,}")
_NOT_SHOWN = "(not shown: it looks like a key)"


def redacted(text: str) -> str:
    """The text without what may be a private key or a recovery phrase put where something else belongs."""
    text = _LONG_WORD.sub(lambda word: _NOT_SHOWN if _DIGITS_OF_A_KEY.search(word[0]) else word[0], text)
    return _PHRASE.sub(_NOT_SHOWN, text)


class HypermmError(Exception):
    """Base of all of them. What looks like a private key is in none of their texts; nor is a hash, which is as long.

    Args:
        message: One line; made from the parts below when empty.
        field: Name of the argument, config field or column at fault, or "".
        value: The refused value as text, or "".
        expected: What would have been accepted, or "".
        hint: How to mend it, or "".
    """

    field: str
    value: str
    expected: str
    hint: str

    def __init__(
        self, message: str = "", *, field: str = "", value: object = "", expected: str = "", hint: str = ""
    ) -> None:
        self.field = redacted(field)
        self.value = redacted(value if isinstance(value, str) else repr(value))
        self.expected = redacted(expected)
        self.hint = redacted(hint)
        if not message:
            message = f"{self.field} = {self.value}: expected {self.expected}" + (f"; {self.hint}" if hint else "")
        super().__init__(redacted(message))


class InvalidInputError(HypermmError, ValueError):
    """An argument is non-finite, out of range, off the price grid, of the wrong length or type, or unsorted."""


class InvalidConfigError(HypermmError, ValueError):
    """A configuration field is unknown, out of range, of the wrong type or unit, or inconsistent with another."""


class TimeOrderError(HypermmError, ValueError):
    """Time went backwards: the event is earlier than the last one. Equal times are legal."""


class SnapshotError(HypermmError, ValueError):
    """Snapshot bytes are damaged, foreign or of another version."""


class EngineBusyError(HypermmError, RuntimeError):
    """The object is in use by another call. Calls never wait for one another; call again later."""


class SigningKeyError(HypermmError, ValueError):
    """A key file that is missing, readable by others, not ours, not a key or the master key. Never quotes the key."""


class NonceError(HypermmError, RuntimeError):
    """A signer's nonce counter is in use elsewhere, cannot be written, is damaged, or a day ahead of the clock."""


class RecordingError(HypermmError, ValueError):
    """A recording cannot be read: a file, column or row is missing or corrupt.

    Args:
        row: Index of the offending row, or None when the whole file or column is at fault.
    """

    row: int | None

    def __init__(
        self,
        message: str = "",
        *,
        field: str = "",
        value: object = "",
        expected: str = "",
        hint: str = "",
        row: int | None = None,
    ) -> None:
        super().__init__(message, field=field, value=value, expected=expected, hint=hint)
        self.row = row
        if row is not None and not message:
            self.args = (f"{self.args[0]} (row {row})",)


class UnknownCoinError(HypermmError, LookupError):
    """The recording, the instruments file or the venue does not know the coin, or the venue has delisted it."""


class WireError(HypermmError, ValueError):
    """What the venue sent is unreadable, or says what cannot be; nothing of it was applied.

    Args:
        channel: The websocket channel or request it came on, or "".
    """

    channel: str

    def __init__(
        self,
        message: str = "",
        *,
        channel: str = "",
        field: str = "",
        value: object = "",
        expected: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, field=field, value=value, expected=expected, hint=hint)
        self.channel = channel
        if channel and not message:
            self.args = (f"{channel}: {self.args[0]}",)


class VenueError(HypermmError, RuntimeError):
    """The venue cannot be reached, or refuses a request as a whole. Nothing of it was carried out."""


class AnswerLostError(VenueError):
    """There is no answer to an action: it may have been carried out, or may be yet. The account's events will tell."""


class MissingDependencyError(HypermmError, ImportError):
    """An optional part needs a package that is not installed; the hint names the extra."""


class InternalError(HypermmError, RuntimeError):
    """A bug in hypermm. The object that raised it may no longer be used; cancel orders and restore a snapshot."""
