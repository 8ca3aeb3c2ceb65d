"""Real processes that talk over real HTTP, and are killed while they do.

settings    those of the processes: short leases, and the brake
brake       an app that stops a process at a statement, for the kill
stack       the site, the embedded QStash server, and their database
shop        tests that place orders in the sample shop # sample
"""
