"""What belongs to Prefect alone: its private server, that server's process, and the artifacts on a run's page."""
