"""`completion` prints what a shell must run to complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    r"""Print the completion of a shell, to be run when it starts.

    \b
    bash  eval "$(scaleaudit completion bash)"   in ~/.bashrc
    zsh   eval "$(scaleaudit completion zsh)"    in ~/.zshrc
    fish  scaleaudit completion fish | source    in ~/.config/fish/config.fish
    """
    found = get_completion_class(shell)
    root = context.find_root()
    assert found is not None
    assert root.info_name is not None
    variable = f"_{root.info_name}_COMPLETE".replace("-", "_").upper()
    click.echo(found(root.command, {}, root.info_name, variable).source())
