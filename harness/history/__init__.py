"""What is remembered of the nights: a document each, human acts beside them, and what follows from both.

Nothing that can be derived is stored: series, alarms and pages are made of the documents whenever they are
asked for. Without torch; the store's library is imported when a store is opened.
"""
