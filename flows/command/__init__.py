"""What the `nst` command prints, and nothing else."""
