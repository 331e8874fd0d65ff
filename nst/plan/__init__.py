"""What a manifest comes to: cells and models with their ids, batches, an estimate. No effects; never imports torch."""
