"""Holding levels: the engines that take the turns of a plan, and the commands that ask for them."""
