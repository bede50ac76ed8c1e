"""Weight-tied loops in captured programs, and the states that they carry."""
