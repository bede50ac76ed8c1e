"""Programs of real operators, beside their graphs: what the laws are held against numbers with."""
