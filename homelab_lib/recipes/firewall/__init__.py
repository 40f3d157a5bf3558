"""An OPNsense: its networks, addresses and names, what may pass it, what is inspected."""
