"""All that the REST side of a release has."""

from homelab_lib.twin.opnsense.api import Action
from homelab_lib.twin.opnsense.controllers import backup


def endpoints(release: tuple[int, int]) -> dict[str, dict[str, Action]]:
    """Actions by controller and name.

    Parameters
    ----------
    release
        The series: (26, 7).
    """
    found: dict[str, dict[str, Action]] = {}
    for room in (backup,):
        found |= room.ENDPOINTS
    return found
