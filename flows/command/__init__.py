"""What the `nst` command prints about sweeps, models and progress, and nothing else."""
