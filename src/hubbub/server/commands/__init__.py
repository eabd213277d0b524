"""The subcommands of ``hubbub``, one file each."""
