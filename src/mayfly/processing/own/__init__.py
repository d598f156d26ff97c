"""A user's own step: a program, a Python function or an HTTP endpoint that makes a picture of a picture.

`step` reads it from the settings, `call` calls it. Programs and functions run in processes of their own: the parent
(`keeper`) starts a host (`host`) behind walls (`walls`), and that forks one child for each image (`child`). An endpoint
is called by the parent (`endpoint`).
"""
