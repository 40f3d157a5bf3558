"""Small reads and writes at random places: what turning disks give, and what a pool makes of it.

References
----------
OpenZFS documentation, "Performance and Tuning, Workload Tuning": a raidz vdev has the random
operations of its slowest disk, a mirror reads from all of its disks and writes to all of them.
"""

from homelab_lib.models.bounds import COUNT, POSITIVE, takes

SEEK_S = 8.5e-3
"""Average seek of a large 3.5-inch disk [s]: 8 to 9 ms by their makers' data sheets."""


@takes(rpm=POSITIVE, seek_s=POSITIVE)
def disk_iops(rpm: float, *, seek_s: float = SEEK_S) -> float:
    """Random operations a turning disk does one after the other [1/s].

    Parameters
    ----------
    rpm
        Its speed [1/min].
    seek_s
        Average time for its heads to get there [s]. On top comes half a turn.

    Returns
    -------
    float
        79 at 7200 turns a minute; with a full queue it sorts them, and does about twice as many.

    References
    ----------
    Hennessy, Patterson: Computer Architecture, 6th ed., §D.2: seek and rotational latency.
    """
    return 1.0 / (seek_s + 30.0 / rpm)


@takes(one_disk=POSITIVE, width=COUNT, vdevs=COUNT)
def pool_iops(one_disk: float, layout: str, width: int, vdevs: int = 1) -> tuple[float, float]:
    """Random reads and writes of a pool [1/s each].

    Parameters
    ----------
    one_disk
        Those of one disk [1/s].
    layout
        Layout of its vdevs: ``stripe``, ``mirror``, ``raidz1`` to ``raidz3``.
    width, vdevs
        Disks in a vdev, and vdevs.

    References
    ----------
    The module's.
    """
    reads = width if layout in ("mirror", "stripe") else 1
    writes = width if layout == "stripe" else 1
    return one_disk * reads * vdevs, one_disk * writes * vdevs
