"""What may be asked of a service, and the addresses that come of it."""

from pathlib import Path

import pandas as pd
import pytest

from galaxyloop.cutout_services import SERVICES, CutoutServiceConfig, read_positions
from galaxyloop.cutout_services.addresses import plan_requests
from galaxyloop.errors import ConfigError, ManifestError, UnknownNameError

GALAXY = pd.DataFrame({"id_str": ["J1"], "ra_deg": [19.8023], "dec_deg": [-10.3749]})
TEMPLATE = "https://cutouts.example/image?ra={ra_deg}&dec={dec_deg}"


def url_of(config: CutoutServiceConfig, galaxy: pd.DataFrame = GALAXY) -> str:
    (request,), _ = plan_requests(galaxy, config)
    return request.url


@pytest.mark.parametrize(
    ("config", "url"),
    [
        (
            CutoutServiceConfig(service="legacy_surveys"),
            "https://www.legacysurvey.org/viewer/cutout.jpg?ra=19.8023000&dec=-10.3749000"
            "&layer=ls-dr10&pixscale=0.262&size=424",
        ),
        (
            CutoutServiceConfig(service="legacy_surveys_fits", layer="ls-dr9", bands="griz"),
            "https://www.legacysurvey.org/viewer/cutout.fits?ra=19.8023000&dec=-10.3749000"
            "&layer=ls-dr9&pixscale=0.262&size=424&bands=griz",
        ),
        (
            CutoutServiceConfig(service="sdss", size_px=256, pixel_scale_arcsec=0.2),
            "https://skyserver.sdss.org/dr19/SkyServerWS/ImgCutout/getjpeg?ra=19.8023000"
            "&dec=-10.3749000&scale=0.2&width=256&height=256&opt=",
        ),
        (
            CutoutServiceConfig(service="hsc", size_px=250),
            "https://hsc-release.mtk.nao.ac.jp/das_cutout/pdr3/cgi-bin/cutout?ra=19.8023000"
            "&dec=-10.3749000&sw=21asec&sh=21asec&type=coadd&image=on&mask=off&variance=off"
            "&filter=HSC-I&rerun=pdr3_wide",
        ),
    ],
)
def test_plan_requests__asks_each_service_in_its_way(config: CutoutServiceConfig, url: str) -> None:
    assert url_of(config) == url


def test_services__are_all_tried_above() -> None:
    assert set(SERVICES) == {"legacy_surveys", "legacy_surveys_fits", "sdss", "hsc"}


def test_plan_requests__quotes_ids() -> None:
    config = CutoutServiceConfig(url_template="http://x.example/{id_str}.jpg?n={size_px}")
    galaxy = pd.DataFrame({"id_str": ["a/b?c&d=é {x}"]})
    assert url_of(config, galaxy) == ("http://x.example/a%2Fb%3Fc%26d%3D%C3%A9%20%7Bx%7D.jpg?n=424")


def test_plan_requests__scales_as_galaxy_zoo_decals_did() -> None:
    """max(min(0.04 x petroth50, 0.02 x petroth90), 0.10) arcsec/px, worked by hand."""
    galaxies = pd.DataFrame(
        {
            "id_str": list("abcd"),
            "ra_deg": 1.0,
            "dec_deg": 2.0,
            "petroth50": [10.0, 10.0, 1.0, 1000.0],
            "petroth90": [30.0, 15.0, 3.0, 3000.0],
        }
    )
    config = CutoutServiceConfig(
        service="legacy_surveys",
        size_columns=["petroth50", "petroth90"],
        size_factors=[0.04, 0.02],
        min_pixel_scale_arcsec=0.1,
    )
    requests, rejects = plan_requests(galaxies, config)
    assert [request.pixel_scale_arcsec for request in requests] == pytest.approx(
        [0.4, 0.3, 0.1, 10]
    )
    assert "pixscale=0.4&" in requests[0].url
    assert rejects.empty


def test_plan_requests__rejects_galaxies_without_a_radius() -> None:
    galaxies = pd.DataFrame(
        {"id_str": list("abcd"), "ra": 1.0, "dec_deg": 2.0, "r": ["1.5", "0", "-99", "big"]}
    ).rename(columns={"ra": "ra_deg"})
    config = CutoutServiceConfig(service="legacy_surveys", size_columns=["r"], size_factors=[0.1])
    requests, rejects = plan_requests(galaxies, config)
    assert [request.id_str for request in requests] == ["a"]
    assert rejects.values.tolist() == [
        ["b", "r", "0", "not a number > 0"],
        ["c", "r", "-99", "not a number > 0"],
        ["d", "r", "big", "not a number > 0"],
    ]


def config_error(**settings: object) -> str:
    with pytest.raises(ConfigError) as caught:
        CutoutServiceConfig.from_dict(settings)
    return str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"service": "sdss", "url_template": TEMPLATE}, "give either service"),
        ({"url_template": TEMPLATE + "&r={radius}"}, "no placeholder {radius}; known: {id_str}"),
        ({"url_template": TEMPLATE + "&r={size_px:d}"}, "no placeholder {size_px:d}"),
        ({"url_template": TEMPLATE + "&r={ra_deg.real}"}, "no placeholder {ra_deg.real}"),
        ({"url_template": TEMPLATE + "&r={size_px"}, "must have matching braces"),
        ({"url_template": "https://x.example/a.jpg"}, "needs {ra_deg} and {dec_deg}, or {id_str}"),
        ({"url_template": "file:///etc/{id_str}"}, "must start with https:// or http://"),
        ({"url_template": "https://me:pw@x.example/{id_str}"}, "no password or key; set login"),
        ({"url_template": TEMPLATE + "&api_key=12"}, "no password or key; set login"),
        ({"url_template": TEMPLATE + "&access_token=12"}, "instead of the value of 'access_token'"),
        ({"url_template": TEMPLATE + "&X-Sig=1&n=2"}, "instead of the value of 'X-Sig'"),
        ({"url_template": TEMPLATE + "&authKey={id_str}12"}, "instead of the value of 'authKey'"),
        ({"url_template": TEMPLATE + "&token={token}"}, "has {token}: set login"),
        ({"url_template": "http://x.example/{id_str}", "login": "A"}, "goes over https:// only"),
        ({"url_template": TEMPLATE + "&l={layer}"}, "has {layer}, so layer must be set"),
        ({"url_template": TEMPLATE + "&r={size_arcsec}"}, "set pixel_scale_arcsec or size_columns"),
        (
            {"service": "legacy_surveys", "size_px": 3001},
            "in [1, 3000] for legacy_surveys, got 3001",
        ),
        ({"service": "sdss", "size_px": 2049}, "size_px must be in [64, 2048] for sdss, got 2049"),
        ({"service": "sdss", "size_px": 63}, "size_px must be in [64, 2048] for sdss, got 63"),
        ({"service": "hsc", "pixel_scale_arcsec": 0.2}, "its own pixels of 0.168 arcsec only"),
        ({"size_columns": ["a"]}, "as many, got ['a'] and []"),
        ({"size_columns": ["a"], "size_factors": [0.0]}, "size_factors must be > 0, got [0.0]"),
        ({"requests_per_s": 0}, "requests_per_s must be > 0, got 0"),
        ({"n_connections": 0}, "n_connections must be >= 1, got 0"),
        ({"timeout_s": -1}, "timeout_s must be > 0, got -1"),
        ({"max_reject_rate": 1.5}, "max_reject_rate must be in [0, 1], got 1.5"),
        ({"pixel_scale_arcsec": 0}, "pixel_scale_arcsec must be > 0, got 0"),
        ({"contact": "a\r\nHost: b"}, "contact must be one line of text"),
        ({"min_pixel_scale_arcsec": 20}, "at most max_pixel_scale_arcsec=10.0, got 20"),
    ],
)
def test_cutout_service_config__refuses(settings: dict[str, object], message: str) -> None:
    assert message in config_error(**settings)


@pytest.mark.parametrize("query", ["passband=g", "bandpass=g", "sigma=2", "key={id_str}&n=2"])
def test_cutout_service_config__takes_what_is_no_secret(query: str) -> None:
    assert CutoutServiceConfig(url_template=f"{TEMPLATE}&{query}").find_service()


def test_cutout_service_config__lists_the_services_for_a_wrong_name() -> None:
    with pytest.raises(UnknownNameError, match="no cutout service 'lsst'; choose one of: hsc,"):
        CutoutServiceConfig(service="lsst")


def test_plan_requests__needs_a_service() -> None:
    with pytest.raises(ConfigError, match=r"give either service \(one of legacy_surveys,"):
        plan_requests(GALAXY, CutoutServiceConfig())


@pytest.mark.parametrize("suffix", ["csv", "parquet", "fits"])
def test_read_positions__finds_positions_under_their_usual_names(
    suffix: str, tmp_path: Path
) -> None:
    table = pd.DataFrame(
        {
            "iauname": ["J1", "007"],
            "RA": [1.25, 2.5],
            "Dec": [-3.0, 4.0],
            "petro": [5.0, 6.0],
            "other": 1,
        }
    )
    path = tmp_path / f"galaxies.{suffix}"
    if suffix == "fits":
        pytest.importorskip("astropy.table").Table.from_pandas(table).write(path)
    else:
        (table.to_parquet if suffix == "parquet" else table.to_csv)(path, index=False)
    config = CutoutServiceConfig(
        service="sdss", id_column="iauname", size_columns=["petro"], size_factors=[0.1]
    )
    galaxies = read_positions(str(path), config)
    assert galaxies["id_str"].tolist() == ["J1", "007"]
    assert galaxies[["ra_deg", "dec_deg", "petro"]].astype(float).values.tolist() == [
        [1.25, -3.0, 5.0],
        [2.5, 4.0, 6.0],
    ]


def test_read_positions__keeps_long_whole_ids_and_refuses_rounded_ones(tmp_path: Path) -> None:
    ids = [587722952230175035, 587722952230175036]
    table = pd.DataFrame({"id_str": ids, "ra": 1.0, "dec": 2.0})
    path = str(tmp_path / "galaxies.parquet")
    table.to_parquet(path)
    config = CutoutServiceConfig(service="sdss")
    assert read_positions(path, config)["id_str"].tolist() == [str(number) for number in ids]
    table.astype({"id_str": float}).to_parquet(path)
    with pytest.raises(ManifestError, match="holds id_str as double, which rounds long ids"):
        read_positions(path, config)


def test_read_positions__names_the_missing_columns(tmp_path: Path) -> None:
    path = tmp_path / "galaxies.csv"
    path.write_text("name,ra,dec\na,1,2\n")
    with pytest.raises(ManifestError, match="lacks the columns id_str; it has: name, ra, dec"):
        read_positions(str(path), CutoutServiceConfig(service="sdss"))


def test_read_positions__refuses_ragged_lines(tmp_path: Path) -> None:
    path = tmp_path / "galaxies.csv"
    path.write_text("id_str,ra,dec\na,1,2\nb,1\n")
    with pytest.raises(ManifestError, match="row 1 has 2 cells, the header 3"):
        read_positions(str(path), CutoutServiceConfig(service="sdss"))


def test_read_positions__takes_an_empty_table(tmp_path: Path) -> None:
    path = tmp_path / "galaxies.csv"
    path.write_text("id_str,ra,dec\n")
    assert read_positions(str(path), CutoutServiceConfig(service="sdss")).empty
