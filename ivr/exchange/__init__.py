"""The house's own exchange: SIP on one side, the carrier's protocol on the other."""
