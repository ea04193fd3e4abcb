"""Asking a service: never faster than allowed, patient, and with an end to everything."""

import asyncio
import base64
import dataclasses
import itertools
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeAlias

import aiohttp
import fsspec.asyn

from galaxyloop import __version__
from galaxyloop.cutout_services.addresses import CutoutRequest, Login, find_login, with_token
from galaxyloop.cutout_services.answers import FAILED, REJECTED, Answer, check_content
from galaxyloop.cutout_services.config import CutoutServiceConfig
from galaxyloop.errors import ConfigError, CutoutServiceError, StorageError

_BLOCK_BYTES = 1 << 16
_ACCESS_STATUS = (401, 407)
_FORBIDDEN = 403
_PASSING_STATUS = (408, 425, 429)
_TOO_MANY_REQUESTS = 429
_MAX_REDIRECTS = 3
_TWO_LOGINS = "Cannot combine AUTH"
"""How aiohttp begins to say that a request has a login both in its headers and from elsewhere."""
_Asked: TypeAlias = tuple[CutoutRequest, Answer]


def ask_all(
    requests: Sequence[CutoutRequest], config: CutoutServiceConfig
) -> Generator[_Asked, None, None]:
    """Ask for every image, and give each answer as it comes.

    Requests run on fsspec's own thread, so this serves scripts, notebooks and tasks alike. Close
    the iterator to give up what is under way.

    Raises:
        ConfigError: the service needs a login that the environment does not have.
        CutoutServiceError: the service refuses the login.
        StorageError: the service asks for a longer pause than ``max_wait_s``.
    """
    if not requests:
        return
    login = find_login(config)
    loop = fsspec.asyn.get_loop()
    client = asyncio.run_coroutine_threadsafe(_open(config, login), loop).result()
    ahead = iter(requests)
    waiting: dict[Future[Answer], CutoutRequest] = {}
    try:
        while True:
            for request in itertools.islice(ahead, config.n_connections - len(waiting)):
                waiting[asyncio.run_coroutine_threadsafe(client.ask(request), loop)] = request
            if not waiting:
                return
            ended = wait(waiting, return_when=FIRST_COMPLETED).done
            # What came is given before an error ends the run.
            for done in sorted(ended, key=lambda future: future.exception() is not None):
                yield waiting.pop(done), done.result()
    finally:
        for unfinished in waiting:
            unfinished.cancel()
        asyncio.run_coroutine_threadsafe(client.close(), loop).result()


class Pace:
    """Turns that lie at least so far apart, whoever takes them."""

    def __init__(self, requests_per_s: float) -> None:
        """Let the first turn come at once."""
        self._spacing_s = 1 / requests_per_s
        self._next_s = 0.0
        self._queue = asyncio.Lock()

    async def turn(self) -> None:
        """Wait for one's turn; first come, first served."""
        now = asyncio.get_running_loop().time
        async with self._queue:
            while (wait_s := self._next_s - now()) > 0:
                await asyncio.sleep(wait_s)
            self._next_s = now() + self._spacing_s

    def pause(self, wait_s: float) -> None:
        """Let nobody have a turn for a while."""
        now = asyncio.get_running_loop().time()
        self._next_s = max(self._next_s, now + wait_s)


class _Client:
    """One session with one service."""

    def __init__(
        self, config: CutoutServiceConfig, login: Login | None, session: aiohttp.ClientSession
    ) -> None:
        self.config = config
        self.login = login
        self.session = session
        self.pace = Pace(config.requests_per_s)
        # Given with each request, not to the session: a redirect to another server drops it then.
        self.headers = _authorization(login) if login and login.user else {}

    async def ask(self, request: CutoutRequest) -> Answer:
        """Ask until there is an answer that another attempt would not better."""
        for attempt in range(1, self.config.n_attempts + 1):
            await self.pace.turn()
            answer = await self._attempt(request)
            answer = dataclasses.replace(answer, n_attempts=attempt)
            wait_s = min(self.config.wait_s * 2 ** (attempt - 1), self.config.max_wait_s)
            if answer.retry_after_s is not None or answer.status == _TOO_MANY_REQUESTS:
                self._pause(max(wait_s, answer.retry_after_s or 0.0))
            if not answer.is_worth_another_try:
                break
            if attempt < self.config.n_attempts:
                await asyncio.sleep(wait_s)
        return answer

    async def close(self) -> None:
        """End the session, after what was given up has ended."""
        await asyncio.sleep(0)
        await self.session.close()

    def _pause(self, wait_s: float) -> None:
        """Leave the service alone, on all connections."""
        if wait_s > self.config.max_wait_s:
            raise StorageError(
                f"the service asks for a pause of {wait_s:.0f} s, longer than max_wait_s="
                f"{self.config.max_wait_s:g}; run again after that, with a lower requests_per_s"
            )
        self.pace.pause(wait_s)

    async def _attempt(self, request: CutoutRequest) -> Answer:
        """One request. No error's own text is kept: it may hold an address with a token."""
        try:
            async with self.session.get(
                with_token(request.url, self.login),
                headers=self.headers,
                max_redirects=_MAX_REDIRECTS,
            ) as response:
                status, told = response.status, response.content_type
                if not 200 <= status < 300:
                    return _refusal(status, told, response.headers.get("Retry-After"))
                content = await self._read(response)
        except TimeoutError:
            reason = f"no whole answer within timeout_s={self.config.timeout_s:g}"
            return Answer(FAILED, reason, is_worth_another_try=True)
        except (aiohttp.ClientError, OSError) as error:
            system = getattr(error, "strerror", None)
            value = f"{type(error).__name__}: {system}" if system else type(error).__name__
            return Answer(FAILED, "no answer", value, is_worth_another_try=True)
        except CutoutServiceError:
            raise
        except ValueError as error:
            if str(error).startswith(_TWO_LOGINS):
                raise ConfigError(
                    "the service's login is set twice, by environment variables and in .netrc; "
                    "remove one"
                ) from None
            return Answer(FAILED, "no answer", type(error).__name__)
        return await asyncio.to_thread(check_content, content, status, told, self.config)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """The body, cut off once it is too long."""
        content = bytearray()
        async for block in response.content.iter_chunked(_BLOCK_BYTES):
            content += block
            if len(content) > self.config.max_image_bytes:
                break
        return bytes(content[: self.config.max_image_bytes + 1])


async def _open(config: CutoutServiceConfig, login: Login | None) -> _Client:
    """A session, which must be made where it runs."""
    contact = f" ({config.contact})" if config.contact else ""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=config.n_connections),
        timeout=aiohttp.ClientTimeout(
            total=config.timeout_s, sock_connect=config.connect_timeout_s
        ),
        headers={
            "User-Agent": f"galaxyloop/{__version__}{contact}",
            "Accept-Encoding": "identity",
        },
        trust_env=True,
    )
    return _Client(config, login, session)


def _authorization(login: Login) -> dict[str, str]:
    """HTTP basic authentication (RFC 7617)."""
    pair = f"{login.user}:{login.password}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def _refusal(status: int, content_type: str, retry_after: str | None) -> Answer:
    """What an answer without an image means.

    Raises:
        CutoutServiceError: the login is refused; asking on could lock the account.
    """
    if status in _ACCESS_STATUS:
        raise CutoutServiceError(
            f"the service refuses access (HTTP {status}); check the login in the environment "
            "variables, and that the account may read these data"
        )
    is_passing = status in _PASSING_STATUS or status >= 500
    return Answer(
        # Who asks too much may get 403 for a while; asking again at once would make it worse.
        FAILED if is_passing or status == _FORBIDDEN else REJECTED,
        f"the service answers HTTP {status}",
        content_type,
        status,
        content_type,
        is_worth_another_try=is_passing,
        retry_after_s=_seconds(retry_after) if is_passing else None,
    )


def _seconds(retry_after: str | None) -> float | None:
    """Seconds to wait, from a number or a date; None if the header is absent or neither."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        # Infinite where there are hundreds of digits, which int would not take.
        return float(retry_after)
    try:
        moment = parsedate_to_datetime(retry_after)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return None
