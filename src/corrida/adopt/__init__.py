"""Runs of an existing folder of results: known layouts are read, backed up, and put into the store.

``tracking``, ``storage``, ``forecasting`` and ``generic`` know one old layout each and say what its runs were;
``plan`` adds ids and digests; ``carry_out`` writes the backup and the runs.
"""
