"""Every knob of every method: frozen pydantic, a tagged union over `name`. Never imports torch.

A configuration stops at its method: losses, backbones and optimisers are called with plain numbers.
"""

from __future__ import annotations

from nst.config.gatys import GatysConfig

MethodConfig = GatysConfig
"""The tagged union over `method.name` (one method so far)."""

METHOD_CONFIGS: dict[str, type[GatysConfig]] = {"gatys": GatysConfig}
