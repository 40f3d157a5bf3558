"""What runs a runbook's notebook, around papermill."""
