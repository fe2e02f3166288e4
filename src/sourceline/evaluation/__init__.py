"""Measures how well labelled questions are answered, beside simpler systems on the same index.

In the order in which data flows: ``dataset`` reads a labelled set, ``baselines`` are the systems, ``evaluate`` asks
them, ``metrics`` measures the answers, ``results`` keeps and compares them, ``report`` shows them.
"""
