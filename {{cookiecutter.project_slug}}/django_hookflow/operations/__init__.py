"""Operations on runs: one file for each family of verbs.

Doors call these, and none of them runs code of a workflow: that is
engine.advance, for which they send messages.
"""
