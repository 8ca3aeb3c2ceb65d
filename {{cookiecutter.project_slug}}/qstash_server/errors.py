"""Errors of requests, and of starting the server."""

from __future__ import annotations


class ConfigurationError(Exception):
    """The server cannot start with these settings: a problem, its cure."""

    def __init__(self, problem: str, cure: str) -> None:
        super().__init__(f"{problem} {cure}")
        self.problem, self.cure = problem, cure


class ApiError(Exception):
    """An answer that is not 2xx; its text is the `error` of the body."""

    status = 400

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class BadRequestError(ApiError):
    """400: something in the request is malformed; the text names it.

    Few texts of the service are known; those are used, and elsewhere it is
    the name of the header and what is wrong with it (choice 2).
    """


class UnservedError(ApiError):
    """400: a feature of the service that this server does not have.

    Of a whole batch too, whose other answers a client of that feature would
    not look at.
    """


class UnauthorizedError(ApiError):
    """401: the token is missing or unknown."""

    status = 401

    def __init__(self) -> None:
        super().__init__("unable to authenticate: invalid token")


class RefusedError(ApiError):
    """403: a browser may not do this, or has no token."""

    status = 403


class NotFoundError(ApiError):
    """404: no such thing in this account."""

    status = 404

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{kind} {name} not found")


class UnknownPathError(ApiError):
    """404: no operation has this method and path."""

    status = 404

    def __init__(self, method: str, path: str) -> None:
        super().__init__(f"no operation {method} {path}")


class QuotaError(ApiError):
    """412: more than the plan allows; trying again does not help."""

    status = 412

    def __init__(self, quota: str, limit: int) -> None:
        super().__init__(f"quota {quota} exceeded, current limit: {limit}")
