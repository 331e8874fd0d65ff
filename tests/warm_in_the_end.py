"""What a process that others are forked from imports last: they need not look for garbage in what it has imported.

It ends without taking it apart, which would complain of what was kept.
"""

import atexit
import gc
import os

gc.collect()
gc.freeze()
atexit.register(os._exit, 0)
