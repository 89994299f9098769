"""How often the ear for speech errs: on voices, on what they suffer, and on what is none."""
