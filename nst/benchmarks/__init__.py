"""What `nst bench` measures and how its figures read: cases, operations, reports, the table. Runs nothing."""
