"""The ear: from sound to words to the likely matter. It knows nothing of calls, tickets or storage."""
