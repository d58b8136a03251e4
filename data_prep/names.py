"""Names of columns that become names of files."""

LONGEST_NAME = 200


def fits_a_file(name: str) -> bool:
    """Returns whether the name of a column can be part of a file's name, as that of a vocabulary is."""
    return 0 < len(name.encode()) <= LONGEST_NAME and not set(name) & {"/", "\\", "\0"}
