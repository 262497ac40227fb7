"""MLflow: a search tracked there, runs exported and imported, and a tracking store of corrida's folders.

``mapping`` says what of a run is what in MLflow; nothing here imports MLflow before it is used.
"""
