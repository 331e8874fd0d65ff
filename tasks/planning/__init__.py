"""From a manifest to a plan: inputs found, what is done subtracted. Never imports torch."""
