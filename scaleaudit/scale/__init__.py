"""Scale analysis: how every value answers when the carried states grow."""
