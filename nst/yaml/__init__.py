"""YAML as people write it: text to values, the place of every key and value, and problems told with their places."""
