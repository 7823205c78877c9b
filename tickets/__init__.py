"""The errand: people, duty, tickets, promises, trips and the ledger."""
