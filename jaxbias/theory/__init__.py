"""Closed forms, claims and the rules of a verdict: numpy and scipy only."""
