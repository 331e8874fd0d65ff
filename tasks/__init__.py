"""Effects: one kind per file. Retries, timeouts and limits are declared here and nowhere else."""
