"""The command line `carillon`: what a tenant does over its API, and what the operator of an installation does that no tenant may.

It talks to the database alone, or to a server elsewhere; nothing else has to run. Exit codes: 0 done, 1 not done (the reason
is on standard error), 2 wrongly called, 130 interrupted by Ctrl+C.
"""

INTERRUPTED = 130
