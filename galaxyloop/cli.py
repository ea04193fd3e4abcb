"""The console command: the library's face for what needs no workflow."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from galaxyloop import __version__
from galaxyloop.campaigns import CAMPAIGNS, find_campaign
from galaxyloop.errors import ConfigError, GalaxyloopError
from galaxyloop.local_files import local_path
from galaxyloop.settings import SETTINGS, describe_settings

if TYPE_CHECKING:
    import pandas as pd

    from galaxyloop.synthetic import SimulationConfig


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a refusal is one message and exit status 1."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    try:
        _COMMANDS[options.command](options)
    except (GalaxyloopError, OSError) as error:
        print(f"galaxyloop: {_sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("galaxyloop: stopped", file=sys.stderr)
        return 130
    return 0


def simulate(options: argparse.Namespace) -> None:
    """Write a simulated survey, unless it is there already."""
    from galaxyloop.synthetic import SimulationConfig, write_survey

    config = SimulationConfig.from_yaml(options.config) if options.config else SimulationConfig()
    written = options.directory / "simulation.json"
    if written.is_file() and _simulation_in(written) == config:
        print(f"{options.directory} holds this simulated survey already")
        return
    write_survey(config, options.directory)
    print(f"{config.n_galaxies} simulated galaxies are in {options.directory}")


def list_campaigns(_: argparse.Namespace) -> None:
    """One line a campaign."""
    for name, campaign in CAMPAIGNS.items():
        tree = campaign.tree
        print(f"{name:16} {len(tree.questions):3} questions {len(tree.columns):4} answers")


def show_tree(options: argparse.Namespace) -> None:
    """A campaign's questions, answers, and after which answers they are asked."""
    for question in find_campaign(options.campaign).tree.questions:
        after = " or ".join(question.asked_after) or "everybody"
        print(f"{question.name}: {', '.join(question.answers)}\n    asked after: {after}")


def show_provenance(options: argparse.Namespace) -> None:
    """What a footer says of the making of a catalogue, of labels or of representations."""
    from galaxyloop.lineage import read_provenance

    told = read_provenance(_local_file(options.catalogue))
    for name, value in told.items():
        print(f"{name:18} {value}")


def export(options: argparse.Namespace) -> None:
    """Write a catalogue in the formats that astronomers' tools open."""
    from galaxyloop.catalogue.products import export_products

    written = export_products(
        _local_file(options.catalogue), options.format, options.output, options.friendly
    )
    for path, remark in written.items():
        print(f"{path}  {remark}".rstrip())


def show_columns(options: argparse.Namespace) -> None:
    """What each column of a catalogue holds."""
    from galaxyloop.catalogue.exports.table import ExportTable

    for column in ExportTable.open(_local_file(options.catalogue)).columns:
        told = f"{column.type_name}, {column.unit or 'no unit'}, UCD {column.ucd}"
        print(f"{column.name}\n    {column.description}\n    {told}")


def show_settings(options: argparse.Namespace) -> None:
    """What a stage can be told, with defaults and meaning."""
    print(describe_settings(options.stage))


def crossmatch(options: argparse.Namespace) -> None:
    """Give published votes the survey's ids, and account for every row."""
    from galaxyloop.crossmatch import crossmatch_table
    from galaxyloop.surveys import IngestConfig

    told = crossmatch_table(
        options.votes,
        options.manifest,
        options.radius_arcsec,
        options.output,
        None if options.columns is None else (options.columns[0], options.columns[1]),
        IngestConfig(id_column=options.id_column),
    )
    print(
        f"{told.n_read} rows = {told.n_matched} matched + {told.n_unmatched} unmatched + "
        f"{told.n_rejected} rejected, against {told.n_galaxies} galaxies of the manifest\n"
        f"median separation {told.median_separation_arcsec:.2f} arcsec\n"
        f"matched   {told.output} (its id_str is the survey's)\n"
        f"rejected  {told.rejects}"
    )
    if told.left_out:
        print(f"left out  {', '.join(told.left_out)} (images, or not one value a cell)")


def fetch(options: argparse.Namespace) -> None:
    """Fetch the galaxies' images from a cutout service, as far as they are not there yet."""
    import dataclasses

    from galaxyloop.cutout_services import CutoutServiceConfig, fetch_cutouts, read_positions

    config = CutoutServiceConfig()
    if options.config:
        config = CutoutServiceConfig.from_yaml(options.config)
    if options.service:
        config = dataclasses.replace(config, service=options.service)
    if options.retry_rejected:
        config = dataclasses.replace(config, retry_rejected=True)
    done = fetch_cutouts(read_positions(options.manifest, config), config, options.directory)
    print(
        f"{done.n_galaxies} galaxies: {done.n_fetched} images fetched "
        f"({done.n_bytes / 1e6:.1f} MB, {done.n_requests} requests), {done.n_resumed} there "
        f"already, {done.n_rejected} rejected, {done.n_failed} failed\n"
        f"manifest {done.manifest}\nrejects  {done.rejects}"
    )


def show_similar(options: argparse.Namespace) -> None:
    """The galaxies most like one, in a survey whose representations are there."""
    from galaxyloop.representations.similarity import find_similar
    from galaxyloop.representations.table import read_representations

    read = read_representations(_local_file(options.representations))
    found = find_similar(read, options.id_str, options.n, options.preparation)
    _print_galaxies(found)


def show_anomalies(options: argparse.Namespace) -> None:
    """The galaxies least like any others of their survey."""
    from galaxyloop.representations.table import most_anomalous, read_galaxies

    found = most_anomalous(read_galaxies(_local_file(options.representations)), options.n)
    _print_galaxies(found.drop(columns="group_id"))


_COMMANDS = {
    "simulate": simulate,
    "campaigns": list_campaigns,
    "tree": show_tree,
    "settings": show_settings,
    "provenance": show_provenance,
    "columns": show_columns,
    "export": export,
    "fetch": fetch,
    "crossmatch": crossmatch,
    "similar": show_similar,
    "anomalies": show_anomalies,
}


def _print_galaxies(found: "pd.DataFrame") -> None:
    """A table on the screen: positions to 0.04 arcsec wherever in the sky, no empty column."""
    positions = dict.fromkeys(("ra_deg", "dec_deg"), "{:.5f}".format)
    found = found.dropna(axis="columns", how="all")
    print(found.to_string(index=False, formatters=positions, float_format="%.6g"))


def _local_file(place: str) -> Path:
    """The path of a file on this machine; an address is refused, since files may be large."""
    path = local_path(place)
    if path is None:
        raise ConfigError(
            f"{place} is an address, and files are read from this machine's disk only; copy it "
            "here and give its path"
        )
    return Path(path)


def _simulation_in(path: Path) -> "SimulationConfig":
    """The config of a survey simulated earlier; never take a stranger's file for one."""
    from galaxyloop.synthetic import SimulationConfig

    try:
        return SimulationConfig.from_json(path.read_text(encoding="utf-8", errors="replace"))
    except ConfigError as error:
        raise ConfigError(
            f"{path} is not of a simulated survey ({error}); choose another directory"
        ) from error


def _sentence(error: Exception) -> str:
    """What went wrong; the system's own errors come with a number and no remedy."""
    if isinstance(error, OSError) and error.strerror:
        named = f"{error.filename}: " if error.filename else ""
        return f"{named}{error.strerror}; choose another place or check its permissions"
    return str(error)


def _parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser("galaxyloop", description="Galaxy morphology from votes.")
    parser.add_argument("--version", action="version", version=f"galaxyloop {__version__}")
    # A metavar as long as the longest command keeps each command's help on its own line.
    commands = parser.add_subparsers(dest="command", metavar="COMMAND [NAME]")
    command = commands.add_parser("simulate", help="write a simulated survey with known truth")
    command.add_argument("directory", type=Path, help="where to; new, empty, or simulated before")
    command.add_argument("--config", type=Path, help="YAML of what `settings simulation` lists")
    commands.add_parser("campaigns", help="list the campaigns")
    command = commands.add_parser("tree", help="show a campaign's questions and answers")
    command.add_argument("campaign", help="a name that `campaigns` lists")
    command = commands.add_parser("settings", help="list what a stage can be told")
    command.add_argument("stage", help=f"one of {', '.join(SETTINGS)}")
    command = commands.add_parser(
        "provenance", help="show how a catalogue, predicted labels or representations were made"
    )
    command.add_argument("catalogue", help="its parquet file")
    command = commands.add_parser("columns", help="describe the columns of a catalogue")
    command.add_argument("catalogue", help="its parquet file")
    _add_export(commands.add_parser("export", help="write a catalogue as FITS, VOTable, csv, HATS"))
    _add_crossmatch(commands.add_parser("crossmatch", help="give published votes a survey's ids"))
    command = commands.add_parser("fetch", help="fetch images from a cutout service")
    command.add_argument("manifest", help="table of galaxies with id_str and position")
    command.add_argument("directory", help="where to; a later run goes on from what is there")
    command.add_argument("--service", help="a name that `settings service` lists")
    command.add_argument("--config", type=Path, help="YAML of what `settings service` lists")
    command.add_argument(
        "--retry-rejected", action="store_true", help="ask for refused galaxies again"
    )
    _add_similar(commands.add_parser("similar", help="list the galaxies most like one"))
    command = commands.add_parser("anomalies", help="list the galaxies least like any other")
    command.add_argument("representations", help="what embed_survey wrote")
    command.add_argument("--n", type=int, default=20, help="how many galaxies (20)")
    return parser


def _add_export(command: argparse.ArgumentParser) -> None:
    """What `export` can be told."""
    command.add_argument("catalogue", help="its parquet file")
    command.add_argument(
        "--format", nargs="+", required=True, metavar="NAME", help="fits, votable, csv, hats"
    )
    command.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="where to; files are replaced"
    )
    command.add_argument(
        "--friendly",
        action="store_true",
        help="fractions alone, empty where few volunteers would be asked",
    )


def _add_similar(command: argparse.ArgumentParser) -> None:
    """What `similar` can be told."""
    command.add_argument("representations", help="what embed_survey wrote")
    command.add_argument("id_str", metavar="ID", help="the galaxy")
    command.add_argument("--n", type=int, default=10, help="how many galaxies (10)")
    command.add_argument(
        "--preparation",
        default="centred",
        help="of the vectors: plain, centred (the default), whitened",
    )


def _add_crossmatch(command: argparse.ArgumentParser) -> None:
    """What `crossmatch` can be told."""
    command.add_argument("votes", help="the published table, a path or an address")
    command.add_argument("manifest", help="the survey's manifest, with positions")
    command.add_argument("output", help="parquet file to write: the table with the survey's ids")
    command.add_argument(
        "--radius-arcsec", type=float, default=1.0, help="largest separation of a match (1)"
    )
    command.add_argument(
        "--columns", nargs=2, metavar=("RA", "DEC"), help="the table's positions [deg]"
    )
    command.add_argument(
        "--id-column", default="", metavar="NAME", help="the manifest's column of ids (id_str)"
    )
