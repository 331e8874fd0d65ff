"""The measurements of `nst bench`: processes that compute, clocks, memory, a short sweep, and reference machines."""
