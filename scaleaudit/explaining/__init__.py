"""One finding explained: found in a report, and what would change the answer."""
