"""Are the instrument and the machine fit to measure?"""
