"""Programs that run for hours: they own the event loop, the clock, the files and the signals."""
