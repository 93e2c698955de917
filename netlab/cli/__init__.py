"""The command line: reads arguments, calls the layers below, prints. Nothing below it prints or exits.

Start-up time is part of the interface: a module here imports typer and the standard library at its top, and whatever
a command works with inside the command.
"""
