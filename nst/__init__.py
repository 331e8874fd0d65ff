"""Truth: maths, settings, manifest grammar, planning. No Prefect, storage, tables, environment or printing."""
