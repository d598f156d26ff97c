"""Events out to a webhook: CloudEvents over HTTP, signed."""
