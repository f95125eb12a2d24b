"""The command line `carillon`: what the operator of an installation does that no tenant may.

It talks to the database alone; nothing else has to run. Exit codes: 0 done, 1 not done (the reason is on standard error),
2 wrongly called.
"""
