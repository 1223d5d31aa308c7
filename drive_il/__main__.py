"""`python -m drive_il` is `drive-il`."""

from drive_il.cli import main

main()
