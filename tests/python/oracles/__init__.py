"""Independent solutions that judge hypermm from outside; nothing here imports hypermm or shares a formula with it."""
