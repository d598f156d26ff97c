"""AWS, by botocore, which is an extra: imported only where a setting asks for it."""
