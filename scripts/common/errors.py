"""The error that a user can act on."""


class UserError(Exception):
    """A fault in the data, the configuration or the files, told with its remedy.

    The message names the file, key or row at fault, says what is wrong and what to do about it.
    Command lines print it without a traceback.
    """
