"""Callbacks for trainers of others; each module needs the extra of its name."""
