"""What a request can run into beside an answer."""


class Refused(Exception):
    """A controller says no: it is told with status 500, and is no fault of the server's.

    Parameters
    ----------
    message
        Why, for a person.
    title
        What it is about.
    level
        ``error`` or ``warning``, as releases from 26.7 on tell it.
    """

    def __init__(self, message: str, title: str = "", *, level: str = "error") -> None:
        super().__init__(message)
        self.message = message
        self.title = title
        self.level = level


class Unexpected(Exception):
    """The appliance's own code stumbles, as over a list where it wants a text: status 500."""


class NoSuchEndpoint(Exception):
    """Nothing of that name, or too few parts in the path: status 404."""
