"""The ways in from outside, and what they leave open."""
