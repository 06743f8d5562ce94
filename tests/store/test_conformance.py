"""Every store passes the same laws (conformance.py)."""
import asyncio
from pathlib import Path

import pytest

from muster.store.memory import MemoryStore
from muster.store.store import Store
from store.conformance import LAWS, Law
from store.disk import open_store


async def memory(_: Path) -> Store:
    return MemoryStore()


async def sqlite(directory: Path) -> Store:
    return open_store(directory / "muster.db")


@pytest.mark.parametrize("opened", [memory, sqlite], ids=lambda opened: opened.__name__)
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_law(law: Law, opened, tmp_path: Path):
    async def run() -> None:
        store = await opened(tmp_path)
        try:
            async with asyncio.timeout(30):
                await law(store)
        finally:
            await store.close()

    asyncio.run(run())
