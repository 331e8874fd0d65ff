"""The order of steps of a sweep, of a training and of a night, written once; engines carry it out."""
