"""Operators and what robots see of them, by scripts drawn from a seed: the truth, and signals with everything wrong."""
