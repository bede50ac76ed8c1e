"""The vocabulary: small frozen types that every stage shares. Standard library only."""
