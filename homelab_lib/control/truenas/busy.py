"""What TrueNAS says that means "not yet"."""

from homelab_lib.runbook.busy import NotNow, declare

declare(
    "midclt, python3",  # which calls the client library where secrets are told: telling.py
    NotNow(
        r"Connection refused|Failed connection handshake|middlewared\.sock|Daemon not running\?",
        "the middleware is starting",
        source="truenas_api_client __init__.py: Client.__init__, main",
    ),
    NotNow(
        r"Rate Limit Exceeded",
        "somebody logs in too often, and TrueNAS lets nobody in for ten minutes",
        source="truenas/middleware#13912",
        undone=True,
    ),
)
