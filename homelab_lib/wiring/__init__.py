"""A lab put to the models: what its parts and its wishes are, in the numbers that models take."""
