"""The tasks of a Proxmox node: what it is at work on, and what came of it."""

from typing import Any

from homelab_lib.twin.clock import Clock

_ARCHIVED = 50


class Tasks:
    """Its tasks.

    Parameters
    ----------
    node
        Its name in the cluster.
    clock
        The time.
    """

    def __init__(self, node: str, clock: Clock) -> None:
        self.node = node
        self._clock = clock
        self._known: dict[str, dict[str, Any]] = {}
        self._number = 1000

    def begin(self, kind: str, subject: str = "") -> str:
        """A task's UPID; it runs until `end`."""
        self._number += 1
        when = int(self._clock.now())
        number = f"{self._number:08X}"
        upid = f"UPID:{self.node}:{number}:{number}:{when:08X}:{kind}:{subject}:root@pam:"
        self._known[upid] = {
            "upid": upid,
            "type": kind,
            "id": subject,
            "user": "root@pam",
            "node": self.node,
            "pid": self._number,
            "pstart": self._number,
            "starttime": when,
            "status": "running",
        }
        return upid

    def take_over(self, row: dict[str, Any]) -> None:
        """One that somebody else has begun, and that may have ended, as a list has it."""
        ended = {"status": "stopped", "exitstatus": row.get("status", "unexpected status")}
        self._known[row["upid"]] = row | (ended if "endtime" in row else {"status": "running"})

    def end(self, upid: str, exitstatus: str = "OK") -> None:
        """A task's end."""
        self._known[upid] |= {
            "status": "stopped",
            "exitstatus": exitstatus,
            "endtime": int(self._clock.now()),
        }

    def end_all(self, exitstatus: str) -> None:
        """The end of all that run."""
        for upid in self.running():
            self.end(upid, exitstatus)

    def running(self, subject: str = "") -> list[str]:
        """The UPIDs of those that run, on one subject or on any."""
        return [
            upid
            for upid, task in self._known.items()
            if task["status"] == "running" and subject in ("", task["id"])
        ]

    def status(self, upid: str) -> dict[str, Any] | None:
        """A task by itself: whether it runs, and how it ended. Its end stands apart from that."""
        task = self._known.get(upid)
        return {k: v for k, v in task.items() if k != "endtime"} if task else None

    def listed(
        self, source: str, subject: str = "", limit: int = _ARCHIVED
    ) -> list[dict[str, Any]]:
        """As a list has them, the newest first: how one ended stands in ``status``, and one that
        runs has none yet.

        Parameters
        ----------
        source
            ``active`` or ``archive`` for those that run or have ended, ``all`` for both.
        subject, limit
            Whose, or anybody's; and how many at the most.
        """
        rows = []
        for task in reversed(self._known.values()):
            runs = task["status"] == "running"
            wanted = source == "all" or (source == "active") == runs
            if not wanted or subject not in ("", task["id"]):
                continue
            row = {k: v for k, v in task.items() if k not in ("status", "exitstatus")}
            rows.append(row if runs else row | {"status": task["exitstatus"]})
        return rows[:limit]
