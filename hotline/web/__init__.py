"""The pages: what is read on a screen, and who may read it."""
