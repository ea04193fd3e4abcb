"""A registered model for other programs: ``python -m tasks.registry.exporting NAME@champion``."""

import tempfile
from pathlib import Path

import click

from galaxyloop.errors import GalaxyloopError
from tasks.registry.client import look_up, open_client
from tasks.registry.versions import resolve_model

EXPORTED = "exported"
"""Artifact of a run, beside its models; MLflow's loading does not look into it."""
PROGRAM, TIMM = "model.pt2", "timm"


def export_version(model: str) -> str:
    """Put a version's network beside its models, as an exported program and as timm's weights.

    Doing it again puts the same there.

    Args:
        model: ``name@alias`` or ``name/version``.

    Returns:
        The address of the folder.

    Raises:
        RegistryError: there is no such model, or its files were changed.
    """
    from galaxyloop.exporting import export_encoder, export_program

    client = open_client()
    version = look_up(client, model)
    checkpoint, _ = resolve_model(model=f"{version.name}/{version.version}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / EXPORTED
        folder.mkdir()
        export_program(checkpoint.download(), folder / PROGRAM)
        export_encoder(checkpoint.download(), folder / TIMM)
        client.log_artifacts(version.run_id, str(folder), EXPORTED)
    address = f"{client.get_run(version.run_id).info.artifact_uri}/{EXPORTED}"
    client.set_model_version_tag(version.name, version.version, "galaxyloop.exported", address)
    return address


@click.command()
@click.argument("model")
def main(model: str) -> None:
    """Export MODEL, a name@alias or name/version, and say where it lies."""
    try:
        click.echo(export_version(model))
    except GalaxyloopError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
