"""`python -m hypermm.cli` is `hypermm`."""

from hypermm.cli import main

main()
