"""Designs by the thousand: a declared space of variants, evaluated, and the best among them."""
