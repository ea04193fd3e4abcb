"""Images from a cutout service, put where a later run finds them."""

from flytekit import task

from galaxyloop.cutout_services import CutoutServiceConfig
from tasks.local_run import is_in_pod
from tasks.resources import CPU_IMAGE, RETRIES, TABLES, retrying_storage


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def fetch_cutouts(galaxies: str, service: CutoutServiceConfig, output: str) -> str:
    """Fetch the images of a table's galaxies; returns the place of their manifest.

    Never cached: the record at ``output`` says what is there, and only what is missing is asked
    for. In an object store it is put there every hundred galaxies, so an attempt that is lost asks
    for at most so many again.
    """
    from galaxyloop import cutout_services
    from galaxyloop.outputs import check_output

    with retrying_storage():
        check_output(output, must_be_remote=is_in_pod())
        positions = cutout_services.read_positions(galaxies, service)
        return cutout_services.fetch_cutouts(positions, service, output).manifest
