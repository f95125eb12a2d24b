"""The local runner: executes the example extensions that come with Carillon, by the runner's contract (docs/runner.md)."""
