"""A run of a runbook, as its notebook has it: begun, planned, approved, done, and closed."""
