"""The work on a device: worker processes, their jobs, stylization and training, and the rows about both."""
