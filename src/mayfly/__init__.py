"""Mayfly: images that live seven days, and provably no longer."""

__version__ = "0.1.0"
