"""What a cutout service is asked for, and how gently."""

import dataclasses
import hashlib
import json
import re
import string
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from galaxyloop.config import StrictConfig, require
from galaxyloop.cutout_services.services import SERVICES, Service
from galaxyloop.errors import ConfigError, UnknownNameError
from galaxyloop.images import ColourConfig

SCALE_PLACEHOLDERS = ("pixel_scale_arcsec", "size_arcsec", "half_size_arcsec")
POSITION_PLACEHOLDERS = ("ra_deg", "dec_deg")
PLACEHOLDERS = (
    *("id_str", *POSITION_PLACEHOLDERS, "size_px", *SCALE_PLACEHOLDERS),
    *("layer", "bands", "token"),
)
_WRITTEN_SECRET = re.compile(
    # Names of bands and of sigma are no secrets.
    r"[?&;]([^=&;]*(?:key|token|(?<!band)pass(?!band)|pwd|secret|auth|sig(?!ma))[^=&;]*)"
    r"=(?:\{\w+\})*[^{&;#]",
    re.IGNORECASE,
)
_AT_LEAST_ONE = (
    *("size_px", "n_connections", "n_attempts", "max_image_bytes"),
    *("max_failures_in_a_row", "max_same_rejects"),
)
_ABOVE_ZERO = (
    *("min_pixel_scale_arcsec", "max_pixel_scale_arcsec", "requests_per_s"),
    *("timeout_s", "connect_timeout_s"),
)


@dataclass(frozen=True)
class CutoutServiceConfig(StrictConfig):
    """Which service gives the images, what is asked of it, and how gently."""

    service: str = ""
    """A service that is known by name: legacy_surveys, legacy_surveys_fits, sdss, hsc. Give this
    or ``url_template``."""
    url_template: str = ""
    """Address of one galaxy's image, with {ra_deg} {dec_deg} {id_str} {size_px}
    {pixel_scale_arcsec} {size_arcsec} {half_size_arcsec} {layer} {bands} {token}."""
    layer: str = ""
    """Survey or data release, where a service has several; empty takes the service's usual."""
    bands: str = ""
    """Bands or filter of FITS images; empty takes the service's usual."""
    id_column: str = ""
    """Column of the galaxies' table that holds the ids; empty means ``id_str``."""
    size_px: int = 424
    """Side of the images [px]."""
    pixel_scale_arcsec: float | None = None
    """Scale of all images [arcsec/px]; none takes the service's own, or ``size_columns``."""
    size_columns: list[str] = field(default_factory=list)
    """Columns of the galaxies' radii, for a scale of each galaxy's own: the least of factor x
    radius, so that a galaxy fills the same share of its image whatever its size."""
    size_factors: list[float] = field(default_factory=list)
    """For each of ``size_columns``: scale in arcsec/px for a radius of 1."""
    min_pixel_scale_arcsec: float = 0.1
    """A finer scale from ``size_columns`` becomes this one [arcsec/px]."""
    max_pixel_scale_arcsec: float = 10.0
    """A coarser scale from ``size_columns`` becomes this one [arcsec/px]."""
    requests_per_s: float = 2.0
    """Most requests a second, over all connections and attempts; following a redirect is free."""
    n_connections: int = 1
    """Galaxies asked for at the same time; 1 or 2 is polite."""
    n_attempts: int = 4
    """How often a galaxy is asked for when the service or the network fails."""
    wait_s: float = 2.0
    """Pause before the second attempt, doubled each time; a longer Retry-After is kept to [s]."""
    max_wait_s: float = 300.0
    """Longest pause; a service that asks for a longer one ends the run [s]."""
    timeout_s: float = 60.0
    """Longest time one attempt may take as a whole [s]."""
    connect_timeout_s: float = 10.0
    """Longest time until a connection stands [s]."""
    max_image_bytes: int = 50_000_000
    """A longer answer is cut off and rejected."""
    max_failures_in_a_row: int = 20
    """So many galaxies one after another that fail for passing reasons end the run."""
    max_same_rejects: int = 20
    """So many galaxies one after another that are refused for one and the same reason end the
    run, as long as no image has come with these settings: a slip of the pen must not cost the
    service a request for every galaxy."""
    max_reject_rate: float = 0.05
    """Share of galaxies without an image, for whatever reason, above which the run is an error,
    from 0 to 1."""
    retry_rejected: bool = False
    """Whether galaxies whose answer was refused for good in an earlier run are asked for again."""
    verify_digests: bool = False
    """Whether images of earlier runs are read and compared with the record, not only measured."""
    login: str = ""
    """Name of a login: user and password are read from the environment variables {login}_USER and
    {login}_PASSWORD, and {token} from {login}_TOKEN; empty takes the service's usual."""
    contact: str = ""
    """Mail address or page that tells the service who asks; sent with each request."""
    colour: ColourConfig = ColourConfig()
    """How FITS answers are decoded when they are checked; give what ``cutouts.colour`` has."""

    def __post_init__(self) -> None:
        """Check the ranges, and the service if one is named already."""
        for name in _AT_LEAST_ONE:
            require(getattr(self, name) >= 1, f"{name} must be >= 1, got {getattr(self, name)}")
        for name in _ABOVE_ZERO:
            require(getattr(self, name) > 0, f"{name} must be > 0, got {getattr(self, name)}")
        for name in ("wait_s", "max_wait_s"):
            require(getattr(self, name) >= 0, f"{name} must be >= 0, got {getattr(self, name)}")
        require(
            0 <= self.max_reject_rate <= 1,
            f"max_reject_rate must be in [0, 1], got {self.max_reject_rate}",
        )
        require(
            self.pixel_scale_arcsec is None or self.pixel_scale_arcsec > 0,
            f"pixel_scale_arcsec must be > 0, got {self.pixel_scale_arcsec}",
        )
        require(
            self.contact.isprintable(), f"contact must be one line of text, got {self.contact!r}"
        )
        _check_size_columns(self)
        if self.service or self.url_template:
            _check_service(self, self.find_service())

    def find_service(self) -> Service:
        """The service with this config's layer, bands and login.

        Raises:
            UnknownNameError: no service has that name.
            ConfigError: neither a service nor a template is given, or both.
        """
        if bool(self.service) == bool(self.url_template):
            raise ConfigError(
                f"give either service (one of {', '.join(SERVICES)}) or url_template, got "
                f"service='{self.service}' and url_template='{self.url_template}'"
            )
        if self.service and self.service not in SERVICES:
            raise UnknownNameError("cutout service", self.service, SERVICES)
        known = SERVICES[self.service] if self.service else Service(self.url_template)
        return dataclasses.replace(
            known,
            pixel_scale_arcsec=self.pixel_scale_arcsec or known.pixel_scale_arcsec,
            layer=self.layer or known.layer,
            bands=self.bands or known.bands,
            login=self.login or known.login,
        )

    def request_settings(self) -> dict[str, object]:
        """What the images depend on: a directory holds images of one such request only."""
        service = self.find_service()
        settings: dict[str, object] = {
            "url_template": service.url_template,
            "layer": service.layer,
            "bands": service.bands,
            "size_px": self.size_px,
        }
        if not self.size_columns:
            return settings | {"pixel_scale_arcsec": service.pixel_scale_arcsec}
        names = ("size_columns", "size_factors", "min_pixel_scale_arcsec", "max_pixel_scale_arcsec")
        return settings | {name: getattr(self, name) for name in names}

    def checks_digest(self) -> str:
        """Changes with what decides, besides the request, whether an image is refused."""
        checks = {"colour": self.colour.to_dict(), "max_image_bytes": self.max_image_bytes}
        return hashlib.sha256(json.dumps(checks, sort_keys=True).encode()).hexdigest()[:16]


def placeholders(url_template: str) -> list[str]:
    """Names of a template's placeholders.

    Raises:
        ConfigError: the braces do not match, or a placeholder is unknown.
    """
    try:
        parts = list(string.Formatter().parse(url_template))
    except ValueError as error:
        raise ConfigError(
            f"url_template must have matching braces ({error}), got '{url_template}'"
        ) from error
    names = []
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if name not in PLACEHOLDERS or form or conversion:
            shown = name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
            raise ConfigError(
                f"url_template has no placeholder {{{shown}}}; known: "
                f"{', '.join(f'{{{known}}}' for known in PLACEHOLDERS)}"
            )
        names.append(name)
    return names


def _check_size_columns(config: CutoutServiceConfig) -> None:
    """Refuse scales that contradict each other."""
    columns, factors = config.size_columns, config.size_factors
    require(
        len(columns) == len(factors),
        f"size_columns and size_factors must be as many, got {columns} and {factors}",
    )
    require(all(factor > 0 for factor in factors), f"size_factors must be > 0, got {factors}")
    require(
        not columns or config.pixel_scale_arcsec is None,
        f"give either size_columns or pixel_scale_arcsec, got {columns} and "
        f"{config.pixel_scale_arcsec}",
    )
    low, high = config.min_pixel_scale_arcsec, config.max_pixel_scale_arcsec
    require(
        low <= high,
        f"min_pixel_scale_arcsec must be at most max_pixel_scale_arcsec={high}, got {low}",
    )


def _check_service(config: CutoutServiceConfig, service: Service) -> None:
    """Refuse what the service cannot give or what would give a secret away."""
    template, names = service.url_template, placeholders(service.url_template)
    address = urlsplit(template)
    require(
        address.scheme in ("http", "https") and bool(address.netloc),
        f"url_template must start with https:// or http:// and a server, got '{template}'",
    )
    secret = _WRITTEN_SECRET.search(template)
    where = f"the value of '{secret[1]}'" if secret else "a part before @"
    require(
        "@" not in address.netloc and secret is None,
        f"url_template must hold no password or key; set login, and use {{token}} for a key in the "
        f"address, instead of {where}",
    )
    require(
        "id_str" in names or set(POSITION_PLACEHOLDERS) <= set(names),
        f"url_template needs {{ra_deg}} and {{dec_deg}}, or {{id_str}}, got '{template}'",
    )
    for name in ("layer", "bands"):
        require(
            name not in names or bool(getattr(service, name)),
            f"url_template has {{{name}}}, so {name} must be set",
        )
    require("token" not in names or bool(service.login), "url_template has {token}: set login")
    require(
        service.pixel_scale_arcsec is not None
        or bool(config.size_columns)
        or not set(names) & set(SCALE_PLACEHOLDERS),
        f"url_template asks for a scale; set pixel_scale_arcsec or size_columns, got '{template}'",
    )
    _check_limits(config, service)


def _check_limits(config: CutoutServiceConfig, service: Service) -> None:
    """Refuse sizes and scales that the service would change silently."""
    low, high = service.min_size_px, service.max_size_px
    require(
        low <= config.size_px <= high,
        f"size_px must be in [{low}, {high}] for {config.service or 'this service'}, got "
        f"{config.size_px}; a coarser pixel_scale_arcsec shows more sky",
    )
    if service.has_own_scale_only:
        own = SERVICES[config.service].pixel_scale_arcsec
        require(
            service.pixel_scale_arcsec == own and not config.size_columns,
            f"{config.service} gives its own pixels of {own} arcsec only, got "
            f"pixel_scale_arcsec={config.pixel_scale_arcsec}, size_columns={config.size_columns}",
        )
    is_secure = urlsplit(service.url_template).scheme == "https"
    is_here = urlsplit(service.url_template).hostname in ("localhost", "127.0.0.1", "::1")
    require(
        not service.login or is_secure or is_here,
        "a login goes over https:// only; change url_template or leave out login",
    )
