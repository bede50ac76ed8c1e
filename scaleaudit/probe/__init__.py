"""The short training run that confirms or refutes a finding: the program, its twins, the decision."""
