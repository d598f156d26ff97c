"""Adapters translate ports into vendors' terms, and nothing more."""
