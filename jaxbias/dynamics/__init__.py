"""Gradient flow of two-layer networks: problem, exact reduction, integrators."""
