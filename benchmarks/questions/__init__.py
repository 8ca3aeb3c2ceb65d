"""One file per question; the runner asks every one it finds here.

A question has a TITLE, a NOTE that says what is compared and what is not,
a NEEDS_PEERS flag if it has nothing to say without them, and
`ask(lab) -> Iterator[Figure]`. They are asked in the order of their ORDER.
"""
