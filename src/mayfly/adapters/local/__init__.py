"""Adapters for one machine: files, SQLite and the system's clock. No server to install."""
