"""Studies of runs and recordings. Imports recording and config, never exchange."""
