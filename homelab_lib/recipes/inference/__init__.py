"""Language models: served, guarded, balanced, and asked by a page."""
