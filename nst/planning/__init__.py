"""What a manifest amounts to: cells or models with their ids, batches, an estimate. No effects, never imports torch."""
