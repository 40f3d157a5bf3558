"""Copies, and what is brought back from them to see that it can be."""
