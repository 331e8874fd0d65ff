"""YAML as people write it: text to values, the position of every key and value, and problems with their positions."""
