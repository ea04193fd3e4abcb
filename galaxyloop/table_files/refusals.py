"""Why a place gives no table, in a sentence, and whether that may pass."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from galaxyloop.errors import GalaxyloopError, StorageError
from galaxyloop.storage import NETWORK_ERRORS, is_lasting

FORMATS = "csv, csv.gz, parquet, FITS or VOTable"
DAMAGED_GZIP = (EOFError, gzip.BadGzipFile, zlib.error)
"""What reading a truncated or altered gzip file raises."""


class NoTableError(Exception):
    """A file is no table that can be read; callers see it as the error class they asked for."""


@contextmanager
def telling(uri: str, refuse: type[GalaxyloopError]) -> Iterator[None]:
    """Turn whatever goes wrong with a file into ``refuse``, or ``StorageError`` if it may pass."""
    try:
        yield
    except NoTableError as error:
        raise refuse(str(error)) from error
    except DAMAGED_GZIP as error:
        raise refuse(f"{uri} is a damaged gzip file ({error}); fetch it again") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        # Of the web fsspec says so whatever went wrong, twice of addresses with a "?"; the first
        # cause tells.
        cause = _first_cause(error)
        if isinstance(cause, NETWORK_ERRORS) and not is_lasting(cause):
            raise _failure(uri, cause) from error
        raise refuse(f"there is no file at {uri}; check the path or address") from error
    except IsADirectoryError as error:
        raise refuse(
            f"{uri} is a directory; name the table in it, or several with a pattern such as "
            f"{uri.rstrip('/')}/*.parquet"
        ) from error
    except NETWORK_ERRORS as error:
        if isinstance(error, StorageError):
            raise
        if is_lasting(error):
            raise refuse(
                f"{uri} may not be read: {error}; check its address, its permissions or your "
                "credentials"
            ) from error
        raise _failure(uri, error) from error


def _first_cause(error: BaseException) -> BaseException | None:
    """What made fsspec say that there is no file; None if nothing did."""
    cause = error.__cause__
    while isinstance(cause, FileNotFoundError) and cause.__cause__ is not None:
        cause = cause.__cause__
    return cause


def _failure(uri: str, error: BaseException) -> StorageError:
    """A failure that may pass."""
    return StorageError(
        f"{uri} could not be read ({error or type(error).__name__}); check the network and the "
        "endpoint, then run again"
    )
