"""An index in a PostgreSQL database with pgvector, for several servers and several builders.

The rows of a document are written once and never changed. A build writes those of the documents that changed, and then
publishes: one transaction says from which snapshot on each document is valid, and up to which.
"""
