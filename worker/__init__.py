"""The hands: they keep, a little later, what the telephone promised."""
