"""
What can go wrong on our side of the doors, and the tree of exceptions.

::

    HeliographError
    ├── ConfigurationError      a setting is missing, unknown or cannot be used
    ├── InvalidInput            what a caller sent breaks a rule; says which field
    ├── UserTaken               the device already belongs to another person
    ├── TooManyDevices          the person already has as many devices as allowed
    ├── NameTaken               another publish of the instance has this name
    ├── KeyReused               an idempotency key belongs to another request
    ├── ShelfSilent             where tokens are kept did not answer
    ├── Overloaded              more asks to be written than the database takes
    └── TransportError          a request to the outside world got no reply
        ├── NotProcessed        the peer certainly did not act on it
        ├── Ambiguous           it may have
        └── EgressDenied        the address is one that we do not talk to

A gateway's answer is never an exception: it is an outcome
(``gateways/contract.py``). "Not found" is ``None``.
"""


class HeliographError(Exception):
    """The root of the tree."""


class ConfigurationError(HeliographError):
    """A setting is missing, unknown or cannot be used; the message names it."""


class InvalidInput(HeliographError):  # noqa: N818  (reads as what it says about the input)
    """What a caller sent breaks a rule."""

    def __init__(self, field: str, problem: str) -> None:
        """Name the field in the caller's own words, and say what is wrong with it."""
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class UserTaken(HeliographError):  # noqa: N818
    """The device already belongs to another person, who must log out first."""


class TooManyDevices(HeliographError):  # noqa: N818
    """The person already has as many devices as allowed."""

    def __init__(self, limit: int) -> None:
        """Carry the limit, so that a dialect can quote it."""
        super().__init__(f"a user can have at most {limit} devices")
        self.limit = limit


class NameTaken(HeliographError):  # noqa: N818
    """Another publish of the instance has this name; this one was not made."""


class KeyReused(HeliographError):  # noqa: N818
    """The idempotency key belongs to another request; this one was not carried out."""


class ShelfSilent(HeliographError):  # noqa: N818
    """The database, in which tokens are kept for all processes, did not answer in time."""


class Overloaded(HeliographError):  # noqa: N818
    """More asks to be written than the database takes; this was not, and may be sent again."""


class TransportError(HeliographError):
    """A request to the outside world got no reply; the message says why."""


class NotProcessed(TransportError):  # noqa: N818
    """The peer certainly did not act on it: resending is free."""

    def __init__(self, reason: str, *, said: bytes = b"") -> None:
        """Carry what the peer said when it went away, unread: APNs gives its reason there."""
        super().__init__(reason)
        self.said = said


class Ambiguous(TransportError):  # noqa: N818
    """The peer may have acted on it: a repeat must be recognisable."""


class EgressDenied(TransportError):  # noqa: N818
    """The address resolves to somewhere that we do not talk to."""
