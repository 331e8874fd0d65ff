"""Order: Prefect flows and the `nst` command. No maths, no storage."""
