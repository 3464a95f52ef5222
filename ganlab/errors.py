"""What ganlab says when its input is at fault: one line, no traceback, exit code 2."""


class UserError(ValueError):
    """Bad input. The message is one line: what, where, what is allowed, what to do."""
