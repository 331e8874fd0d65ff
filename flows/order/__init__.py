"""The order of steps, written once: of a sweep, of a training, of a night. Engines carry it out."""
