"""Ground and roof: configuration, clock, telephone numbers and storage below; pages and commands above."""
