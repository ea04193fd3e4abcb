"""From galaxies to the addresses of their images."""

import os
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
import pandas as pd

from galaxyloop.cutout_services.config import (
    POSITION_PLACEHOLDERS,
    CutoutServiceConfig,
    placeholders,
)
from galaxyloop.errors import ConfigError, ManifestError

REJECT_COLUMNS = ["id_str", "column", "value", "reason"]


@dataclass(frozen=True)
class CutoutRequest:
    """One galaxy's image at a service."""

    id_str: str
    """The galaxy."""
    url: str
    """Where its image is; a token stands there as {token}."""
    pixel_scale_arcsec: float
    """Scale that is asked for [arcsec/px]; NaN if the address does not say."""


@dataclass(frozen=True)
class Login:
    """What a service wants to know before it answers; never written anywhere."""

    user: str = ""
    password: str = ""
    token: str = ""

    def __repr__(self) -> str:
        """Nothing that a log could give away."""
        return "Login(...)"


def plan_requests(
    galaxies: pd.DataFrame, config: CutoutServiceConfig
) -> tuple[list[CutoutRequest], pd.DataFrame]:
    """The address of each galaxy's image, in the galaxies' order.

    Args:
        galaxies: ``id_str``, ``ra_deg`` and ``dec_deg`` [ICRS], and the config's size columns.
        config: service, size and scale.

    Returns:
        The requests; and ``id_str, column, value, reason`` of galaxies that cannot be asked for:
        their id was there before, or their position or radius is no usable number.

    Raises:
        ManifestError: a column is missing.
        ConfigError: no service is named.
    """
    service = config.find_service()
    names = placeholders(service.url_template)
    positions = [name for name in POSITION_PLACEHOLDERS if name in names]
    _require_columns(galaxies, ["id_str", *positions, *config.size_columns])
    galaxies = galaxies.reset_index(drop=True)
    ids = galaxies["id_str"].astype(str).tolist()
    numbers = {
        name: pd.to_numeric(galaxies[name], errors="coerce").to_numpy(np.float64)
        for name in [*positions, *config.size_columns]
    }
    rejects = _judge(galaxies, numbers, config)
    rejects = rejects[~rejects.index.duplicated()]
    scales = _pixel_scales(numbers, service.pixel_scale_arcsec, config, galaxies.index)
    same = {name: quote(getattr(service, name), safe="") for name in ("layer", "bands")}
    requests = []
    for row in np.flatnonzero(~galaxies.index.isin(rejects.index)):
        id_str, scale = ids[row], float(scales[row])
        values = same | {name: f"{numbers[name][row]:.7f}" for name in positions}
        values |= _sizes(config.size_px, scale)
        values |= {"id_str": quote(id_str, safe=""), "token": "{token}"}
        requests.append(CutoutRequest(id_str, service.url_template.format(**values), scale))
    return requests, rejects.sort_index().reset_index(drop=True)


def find_login(config: CutoutServiceConfig) -> Login | None:
    """The login that the service needs, from the environment.

    Raises:
        ConfigError: a variable is not set.
    """
    service = config.find_service()
    if not service.login:
        return None
    is_token = "token" in placeholders(service.url_template)
    parts = ["TOKEN"] if is_token else ["USER", "PASSWORD"]
    values = {part: os.environ.get(f"{service.login}_{part}", "") for part in parts}
    unset = [f"{service.login}_{part}" for part in parts if not values[part]]
    if unset:
        raise ConfigError(
            f"the service needs a login; set the environment variables {' and '.join(unset)}"
        )
    return Login(**{part.lower(): value for part, value in values.items()})


def with_token(url: str, login: Login | None) -> str:
    """The address as it is sent."""
    return url.replace("{token}", quote(login.token, safe="")) if login else url


def _require_columns(galaxies: pd.DataFrame, names: list[str]) -> None:
    """Refuse a table without what must be known to ask."""
    missing = [name for name in names if name not in galaxies]
    if missing:
        raise ManifestError(
            f"the galaxies lack the columns {', '.join(missing)}; they have: "
            f"{', '.join(map(str, galaxies.columns[:20]))}"
        )


def _judge(
    galaxies: pd.DataFrame, numbers: dict[str, np.ndarray], config: CutoutServiceConfig
) -> pd.DataFrame:
    """Every reason why a galaxy cannot be asked for; the index is the galaxy's."""
    ids = galaxies["id_str"].astype(str)
    rules: list[tuple[str, pd.Series | np.ndarray, str]] = [
        ("id_str", ids.str.strip().eq(""), "empty"),
        ("id_str", ids.duplicated(), "duplicate"),
    ]
    bounds = {"ra_deg": (0.0, 360.0), "dec_deg": (-90.0, 90.0)}
    for name, values in numbers.items():
        if name in config.size_columns:
            is_usable = np.isfinite(values) & (values > 0)
            rules.append((name, ~is_usable, "not a number > 0"))
        else:
            low, high = bounds[name]
            rules.append(
                (name, ~((values >= low) & (values <= high)), f"not in [{low:g}, {high:g}]")
            )
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "id_str": ids[broken],
                    "column": column,
                    "value": galaxies[column][broken].astype(str),
                    "reason": reason,
                }
            )
            for column, broken, reason in rules
        ]
    )[REJECT_COLUMNS]


def _pixel_scales(
    numbers: dict[str, np.ndarray],
    fixed: float | None,
    config: CutoutServiceConfig,
    index: pd.Index,
) -> np.ndarray:
    """Scale of each galaxy's image [arcsec/px]; NaN where the address does not say."""
    if not config.size_columns:
        return np.full(len(index), np.nan if fixed is None else fixed)
    pairs = zip(config.size_columns, config.size_factors, strict=True)
    least = np.min([factor * numbers[name] for name, factor in pairs], axis=0)
    bounds = config.min_pixel_scale_arcsec, config.max_pixel_scale_arcsec
    return np.asarray(np.clip(least, *bounds))


def _sizes(size_px: int, scale: float) -> dict[str, str]:
    """The placeholders of size; those without a scale are not used."""
    return {
        "size_px": str(size_px),
        "pixel_scale_arcsec": f"{scale:.6g}",
        "size_arcsec": f"{scale * size_px:.6g}",
        "half_size_arcsec": f"{scale * size_px / 2:.6g}",
    }
