"""A mark among the loaded modules: none that was loaded before this one is the user's.

It is imported last where children are forked. To look at a module writes to it, so that every
child would copy what it shares with the others.
"""
