"""A paced server in a process of its own: replies at moments known in advance, with send stamps."""
