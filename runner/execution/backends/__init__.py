"""Where tasks run: each takes tasks and yields their events."""
