"""The telephone line: what is said, which turn follows which, and how a carrier is told."""
