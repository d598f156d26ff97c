"""Queries: what living images look like from outside."""
