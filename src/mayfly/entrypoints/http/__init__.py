"""The HTTP edge: the only room that knows the web framework, and the only asynchronous one."""
