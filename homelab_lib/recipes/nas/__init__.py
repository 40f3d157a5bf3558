"""What stores and shares: a TrueNAS with pools, shares, users, apps and tasks; a plain Linux."""
