"""The viewer: the store as pages for a browser."""
