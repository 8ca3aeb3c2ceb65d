"""The engine under random programs, random faults and a virtual clock.

A seed is a whole history: the steps of the workflows, the order in which
messages arrive, which are lost or repeated, where a worker dies or pauses.

    choices     every random decision, recorded so that it can be replayed
    programs    random workflows: trees of steps
    provider    the HTTP server that their calls use
    reference   the result of a program in a world without faults
    crew        workers that one scheduler switches between
    network     messages, and their faults
    world       the clock, the notes of executed code, one history
    laws        the promises to check at every moment, and at the end
    faults      bugs planted on purpose, each of which must be found
    runner      histories by seed, and the shortest form of a bad one

`scripts/simulate.py` runs many; test_simulation.py runs a minute of them.
"""
