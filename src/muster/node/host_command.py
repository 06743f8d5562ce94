"""One command of the host (`ip`, `nft`, `ctr`, ...), run to its end without blocking the loop."""
from __future__ import annotations

import asyncio
import os

WITHIN_S = 30.0


def search_path() -> str:
    """Where programs are looked for: also where only root looks."""
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


class CommandFailed(Exception):
    """It did not do what it was told; the message is what it said."""


async def run(*words: str, given: str | None = None, within_s: float = WITHIN_S, may_fail: bool = False) -> str:
    """Its output.  Raises CommandFailed; with `may_fail` only where there is none at all."""
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.PIPE if given is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, "PATH": search_path()})
    except FileNotFoundError:
        raise CommandFailed(f"{words[0]} is not installed") from None
    try:
        async with asyncio.timeout(within_s):
            out, said = await process.communicate(given.encode() if given is not None else None)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise CommandFailed(f"{' '.join(words)}: no end within {within_s:.0f} s") from None
    if process.returncode and not (may_fail and out):
        raise CommandFailed(f"{' '.join(words)}: {said.decode(errors='replace').strip() or process.returncode}")
    return out.decode(errors="replace")


async def attempt(*words: str, given: str | None = None) -> bool:
    """Did it work?  For what may already be done, or gone."""
    try:
        await run(*words, given=given)
    except CommandFailed:
        return False
    return True
