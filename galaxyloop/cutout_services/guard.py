"""When to stop asking a service before all galaxies had their turn."""

from galaxyloop.cutout_services.answers import FAILED, FETCHED, REJECTED, Answer
from galaxyloop.cutout_services.config import CutoutServiceConfig
from galaxyloop.errors import ConfigError, StorageError


class RunGuard:
    """Ends a run whose answers say that further requests would be in vain."""

    def __init__(self, config: CutoutServiceConfig, has_images: bool) -> None:
        """Keep the limits.

        Args:
            config: ``max_failures_in_a_row`` and ``max_same_rejects``.
            has_images: whether images have come with these settings before; then rejects are the
                galaxies' own affair.
        """
        self._config = config
        self._has_images = has_images
        self._n_failures = 0
        self._n_same_rejects = 0
        self._reason = ""

    def judge(self, answer: Answer) -> None:
        """Take note of an answer that is on record.

        Raises:
            StorageError: ``max_failures_in_a_row`` is reached; it may work later.
            ConfigError: ``max_same_rejects`` is reached before any image came.
        """
        self._n_failures = self._n_failures + 1 if answer.outcome == FAILED else 0
        self._has_images |= answer.outcome == FETCHED
        if answer.outcome == REJECTED:
            is_same = answer.reason == self._reason
            self._n_same_rejects = self._n_same_rejects + 1 if is_same else 1
            self._reason = answer.reason
        last = f"{answer.reason} {answer.value}".rstrip()
        if self._n_failures >= self._config.max_failures_in_a_row:
            raise StorageError(
                f"the last {self._n_failures} galaxies all failed, which is "
                f"max_failures_in_a_row; the last: {last}; see whether the service is well, and "
                "run again later: what came is kept, and galaxies that failed come last then"
            )
        if not self._has_images and self._n_same_rejects >= self._config.max_same_rejects:
            raise ConfigError(
                f"no image came, and {self._n_same_rejects} galaxies one after another are refused "
                f"for one reason, which is max_same_rejects; the last: {last}; check layer, bands, "
                "size_px, max_image_bytes and colour, or raise max_same_rejects if these galaxies "
                "have no image indeed; what was answered is kept"
            )
