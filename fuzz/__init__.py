"""Mutates a corpus of legal and nearly legal inputs over every decoder: `python -m fuzz --inputs 20000 --seed 1`.

A decoder may refuse an input by its own errors, and must do so in time. Anything else is a finding: it is printed with
its seed and as hex, and the exit code is 1. To fuzz another decoder, add a target and a folder of the corpus.
"""
