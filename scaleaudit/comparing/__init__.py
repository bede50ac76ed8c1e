"""Two reports held against each other: what changed in facts and findings, in sentences."""
