"""Completion in a shell: commands, options and values. Where a path is expected the shell completes file names."""

import os
from enum import StrEnum
from typing import Any

# typer's only public way to them is `--install-completion`, which writes into the files of the user's shell.
from typer._completion_classes import completion_init
from typer._completion_shared import get_completion_script
from typer.core import TyperGroup

PROGRAM = "sourceline"
VARIABLE = "_SOURCELINE_COMPLETE"  # set by what `script` returns: the process answers the shell, and ends

# Options of the program that may also stand behind the command's name.
GLOBAL_OPTIONS = ("--documents", "--index", "--model", "--backend", "--reranker", "--threshold")


class Shell(StrEnum):
    """A shell that can be taught."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def script(shell: Shell) -> str:
    """Return what a shell has to run to complete the command."""
    return get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell)


def prepare() -> None:
    """Prepare the process to answer a shell, if one asks."""
    if VARIABLE in os.environ:
        completion_init()


class CompletingGroup(TyperGroup):
    """A group whose commands complete its global options, too."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; while words are completed, which alone is resilient parsing, with the global options."""
        command = super().get_command(ctx, cmd_name)
        if command and ctx.resilient_parsing:
            command.params += [option for option in self.params if option.opts[0] in GLOBAL_OPTIONS]
        return command
