"""Causes: which parts of a model write a direction, and what changes when they are changed.

The computation runs in the process that has the model (`emoact.host`). Only files that run there
import torch, and no page imports them.
"""
