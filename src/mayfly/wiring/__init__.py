"""The composition roots: which adapters stand behind which ports. One module for each kind of process, so that none
loads what another one needs."""
