"""Every knob of every method: frozen pydantic, a tagged union over `name`. Never imports torch.

A configuration stops at its method: losses, backbones and optimisers are called with plain numbers. Beside its
settings a configuration says what planning has to know: `VERSION`, `VARIES`, `NOT_PIXELS`, `needs`, `side`, `pixels`.
"""

from __future__ import annotations

from nst.config.gatys import GatysConfig

MethodConfig = GatysConfig
"""The tagged union over `method.name`."""

METHOD_CONFIGS: dict[str, type[MethodConfig]] = {"gatys": GatysConfig}
