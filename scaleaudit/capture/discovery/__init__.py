"""Discovery: what can be audited in a file that declares nothing, found out by trying."""
