"""What goes to a host: a command for its shell, or a request for its HTTPS service."""

from homelab_lib.transport.command import Command
from homelab_lib.transport.request import Request

Call = Command | Request
