"""Objects anywhere: one `Store` over folders, S3 and every other fsspec protocol. Importing it loads no client."""

from __future__ import annotations

from tasks.store.contract import Stat, Store
from tasks.store.opening import open_store
from tasks.store.patience import Patience
from tasks.store.probe import StoreCapabilities, probe

__all__ = ["Patience", "Stat", "Store", "StoreCapabilities", "open_store", "probe"]
