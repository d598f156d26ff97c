"""The seams. One Protocol a file; its docstrings are the contract, and `tests/contracts` holds every adapter to them.

Ports are synchronous: the libraries beneath them are. Threads stand at the edges. Every method may be called from
any thread unless its docstring says otherwise.
"""
