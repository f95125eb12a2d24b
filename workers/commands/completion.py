"""`carillon completion`: what makes the Tab key know the commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

VARIABLE = "_CARILLON_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes SHELL complete commands and options.

    \b
    bash: echo 'eval "$(carillon completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(carillon completion zsh)"' >> ~/.zshrc
    fish: carillon completion fish > ~/.config/fish/completions/carillon.fish
    """
    found = get_completion_class(shell)
    assert found is not None, "the choices are those that click knows"  # noqa: S101
    root = ctx.find_root()
    click.echo(found(root.command, {}, "carillon", VARIABLE).source())
