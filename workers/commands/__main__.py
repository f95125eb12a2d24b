"""`python -m workers.commands` is `carillon` where the distribution itself is not installed."""

from workers.commands.cli import main

main()
