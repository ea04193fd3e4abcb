"""What disks, servers and object stores raise, and whether it may pass."""

import aiohttp
import botocore.exceptions

from galaxyloop.errors import StorageError
from galaxyloop.local_files import LocationError

_PASSING_HTTP_STATUS = {408, 425, 429, 500, 502, 503, 504}
_PASSING_BOTOCORE_ERRORS = (
    botocore.exceptions.HTTPClientError,
    botocore.exceptions.ConnectionError,
)
_ADDRESS_ERRORS = (aiohttp.InvalidURL, botocore.exceptions.ParamValidationError)
NETWORK_ERRORS = (OSError, aiohttp.ClientError, botocore.exceptions.BotoCoreError)
"""What a failing disk, server or object store raises; missing credentials are among them."""
ABSENT_ERRORS = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
"""What says for certain that a file is not there to be read: asking again changes nothing."""


def is_lasting(error: Exception) -> bool:
    """Whether a network error must come again: a refusal, a wrong address or a wrong setting."""
    if isinstance(error, botocore.exceptions.BotoCoreError):
        # Of botocore's own failures only those of the connection pass.
        return not isinstance(error, _PASSING_BOTOCORE_ERRORS)
    if isinstance(error, aiohttp.ClientResponseError):
        return error.status not in _PASSING_HTTP_STATUS
    return isinstance(error, (*ABSENT_ERRORS, *_ADDRESS_ERRORS))


def lasting_failure(uri: str, error: Exception) -> Exception | None:
    """What to raise where asking again changes nothing, or None if the failure may pass."""
    status = getattr(error, "status", None)
    if status in (401, 403):
        return PermissionError(f"the server answers {status}")
    if status is not None and status not in _PASSING_HTTP_STATUS:
        return FileNotFoundError(f"the server answers {status}")
    if isinstance(error, _ADDRESS_ERRORS):
        return LocationError(f"no address: {' '.join(str(error).split())}")
    if is_lasting(error):
        return StorageError(
            f"{uri} may not be read: {error}; check its address or your credentials"
        )
    return None


def is_unsatisfiable(error: Exception) -> bool:
    """Whether a server says that the file ends before the first byte asked for."""
    says = f"{error} {error.__cause__}".lower()
    is_named = "invalidrange" in says or "range is not satisfiable" in says
    return is_named or getattr(error, "status", None) == 416
