"""Every name inside a store and a run folder, and the version of the format."""

from __future__ import annotations

FORMAT_VERSION = 1
"""The format that this version writes. Raise it only when a released reader could misread the new files; then
keep the old reader, and add a golden folder of the old format to the tests."""

# In a store
INDEX = "index.json"
ALIASES = "aliases.jsonl"
PRIVATE = ".corrida"
TRASH = "trash"
JOURNAL = "journal"
EMPTIED = "emptied"
DRAFTS = "drafts"
CLOCK = "clock"
STORE_FILE = "store.json"

# In a run folder
RUN = "run.json"
CONFIG_DIR = "config"
DATA_DIR = "data"
MODELS_DIR = "models"
PREDICTIONS_DIR = "predictions"
CONFIG = "config.yaml"
MANIFEST = "manifest.json"
ITEMS = "items.parquet"
ITEM_PARTS = ".items"
ITEMS_TWICE = "items-duplicates.parquet"
METRICS = "metrics.json"
HISTORY = "history.jsonl"
LOG = "log.txt"
DIFF = "code.diff"
ANNOTATIONS = "annotations.jsonl"
HANDOVER = ".handover.jsonl"
CLAIMED = ".claimed"

OWN_FILES = frozenset({RUN, CONFIG, MANIFEST, ITEMS, ITEMS_TWICE, METRICS, HISTORY, LOG, DIFF, ANNOTATIONS})
OWN_FOLDERS = frozenset({CONFIG_DIR, ITEM_PARTS})
NOT_SEALED = frozenset({RUN, ANNOTATIONS})
"""Files that the list of digests in run.json leaves out: itself, and what is appended after the end.

Predictions come after the end too, but have digests of their own: see :mod:`corrida.runs.predictions`."""
