"""How a setting is refused: naming it, what it was, and what is allowed."""

from collections.abc import Sequence


class SettingError(ValueError):
    """A setting has a value that is not allowed; the message names both and what is."""


def one_of(setting: str, value: str, allowed: Sequence[str]) -> str:
    """The value, if it is one of those allowed.

    Raises:
        SettingError: it is not.
    """
    if value not in allowed:
        raise SettingError(f"{setting}={value!r} is not allowed. Use one of: {', '.join(allowed)}")
    return value
