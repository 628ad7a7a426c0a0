"""What can go wrong between the Hub and a crawl: one class per case that callers treat differently.

Belongs here: the classes and the one place that turns a status into a class. Does not: when to
retry (`hub_client`) and what a crawl does about each (`crawl_journal`).
"""

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlsplit

DISABLED_MESSAGE = "Access to this resource is disabled."
"""`X-Error-Message` of a disabled repository, the only mark that the Hub gives it."""


class HubError(Exception):
    """A request to the Hub did not give what was asked for.

    Attributes:
        message: what happened, one line.
        status: HTTP status, where there was an answer.
        code: the answer's `X-Error-Code`, where there was one.
        url: the address without query and credentials.
    """

    reason: ClassVar[str] = "error"
    """The case as one word, for tables."""

    def __init__(
        self, message: str, *, url: str = "", status: int | None = None, code: str | None = None
    ) -> None:
        self.message = message
        self.status = status
        self.code = code
        self.url = bare(url)
        told = " ".join(str(part) for part in (status, code) if part)
        super().__init__(f"{message} ({told + ' ' if told else ''}{self.url})")


class HubUnreachable(HubError):
    """No connection to the endpoint can be made; nothing else will work either."""

    reason = "unreachable"


class BadToken(HubError):
    """The Hub refuses the token; nothing will work until `HF_TOKEN` is put right."""

    reason = "bad_token"


class BadRequest(HubError):
    """The Hub will never answer this request, such as one with an unknown parameter."""

    reason = "bad_request"


class NotFound(HubError):
    """What was asked for does not exist, or is private, which the Hub tells no one apart."""

    reason = "not_found"


class Gated(HubError):
    """It exists, but this account (or no account) is not given access to it."""

    reason = "gated"


class Disabled(HubError):
    """It exists, but the Hub has disabled it for everyone."""

    reason = "disabled"


class GaveUp(HubError):
    """The Hub failed on every attempt in a way that should pass; another day may do better."""

    reason = "gave_up"


class MalformedAnswer(HubError):
    """The answer is not what the API promises: no JSON, the wrong shape, a foreign next page."""

    reason = "malformed_answer"


class TooLarge(HubError):
    """The file is longer than the cap; what was read of it is thrown away."""

    reason = "too_large"


class RedirectLoop(HubError):
    """Redirects or next-page links lead in a circle, or through too many hops."""

    reason = "redirect_loop"


def bare(url: str) -> str:
    """An address without query, fragment and credentials: fit for logs and messages."""
    parts = urlsplit(url)
    return (
        f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        if parts.netloc
        else (parts.path)
    )


def refusal(
    status: int, headers: Mapping[str, str], *, url: str, sent_token: bool, message: str = ""
) -> HubError:
    """The error of an answer that no retry will change, told by status and `X-Error-Code`.

    A bare 401 means two things: to an anonymous caller that the repository is not there, to one
    with a token that the token is no good.
    """
    code = headers.get("X-Error-Code")
    cause: type[HubError]
    match status, code:
        case ((401 | 403), "GatedRepo"):
            cause = Gated
        case ((401 | 403), _) if headers.get("X-Error-Message") == DISABLED_MESSAGE:
            cause = Disabled
        case 401, None if sent_token:
            cause = BadToken
            message = "The Hub refuses the token: set HF_TOKEN to a valid one, or unset it"
        case ((401 | 404 | 410), _):
            cause = NotFound
        case 403, _:
            cause = Gated
        case 451, _:
            cause = Disabled
        case _:
            cause = BadRequest
    return cause(message or cause.reason, url=url, status=status, code=code)
