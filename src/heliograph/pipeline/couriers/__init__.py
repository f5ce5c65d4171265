"""
Couriers: what one publish is to the devices of one gateway, and what the replies mean.

A courier packs devices into *parcels*, each for one destination, and judges what came
back. It carries what its gateway wants besides the message: tokens, keys, a budget. The
sending itself is ``pipeline/deliver.py``'s.
"""
