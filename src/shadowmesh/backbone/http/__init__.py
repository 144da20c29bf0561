"""What all routes share: bodies, problems, limits of a request."""
