"""The engine under random programs, random faults and a virtual clock.

A seed is a whole history: what the workflows do, in which order messages
arrive, which are lost or doubled, where a worker dies or is put to sleep.

    choices     every random decision, recorded so that it can be replayed
    programs    random workflows: trees of steps
    provider    what their calls are made to
    reference   what a program comes to when nothing ever goes wrong
    crew        workers that one scheduler switches between
    network     messages, and what happens to them on the way
    world       the clock, the notes of what was executed, one history
    laws        what must hold at every moment, and at the end
    faults      bugs planted on purpose, each of which must be found
    runner      histories by seed, and the shortest form of a bad one

`scripts/simulate.py` runs many; test_simulation.py runs a minute of them.
"""
