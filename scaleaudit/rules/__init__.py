"""Rule pages: loaded, checked and asked of a target's facts. No rule lives here, only in pages."""
