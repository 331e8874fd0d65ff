"""From the URI of a manifest to a plan: text read, inputs found, what is done subtracted. Never imports torch."""
