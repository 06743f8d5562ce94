"""A cluster for a test: a real server with a kubeconfig, in this process, gone when the block ends.

    with Cluster(nodes=5) as cluster:
        cluster.apply(MANIFEST)
        cluster.wait_for("deployment/web", "Available")
        cluster.kubectl("get", "pods")

With `virtual=True` time stands still in it until `advance` (or `wait_for`) lets it pass.  Its methods may be called
from any thread; in a test on asyncio, those that wait belong into `asyncio.to_thread`.
"""
from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from ..api.durations import parse_duration
from ..api.errors import ApiError, BadRequest, NotFound
from ..api.kinds.kind import Kind
from ..api.objects import Key, Obj, condition
from ..bootstrap import node_pool
from ..cli.pools import DEFAULT_POOL, parse_pool
from ..clock import START
from ..manifests import Manifest, check, located, manifests_in, read_manifests
from .background import Background, Wanted
from .clients import ClientFiles, kr8s_api, kubernetes_client, kubernetes_configuration, lightkube_client
from .kubectl import Kubectl, KubectlFailed, KubectlNotFound, Said

__all__ = ["Cluster", "KubectlFailed", "KubectlNotFound", "NotYet"]

DEFAULT_NODES = 3
PATIENCE_S = 60.0
QUICK = {"pull": "0s", "start": "0s", "ready": "0s", "task": "0s", "stop": "0s"}
ADMIN = "kubernetes-admin"

Holds = Callable[[Any], Any]


class NotYet(AssertionError):
    """What was waited for did not come in time; the message says how things stand instead."""


class Cluster:
    def __init__(self, *, nodes: int | None = None, pools: Iterable[str | Obj] = (), virtual: bool = False,
                 start: str | datetime | None = None, seed: int | str | None = None,
                 behaviour: Mapping[str, Any] | None = None, kubectl: str | Path | None = None,
                 record: str | Path | None = None):
        """`nodes`: so many in one pool (3, where no pool is named).  `pools`: more, as `muster up --pool` takes them
        ("gpu=2,cpu=8,zone=a+b") or as NodePool objects.  `behaviour`: how long nodes take ("pull": "1s..3s"; all is
        immediate otherwise).  `start` and `seed` are for virtual time: when it begins, and what chance is drawn from.
        `record`: keep the whole history in this file, for `muster history`; an older recording there is replaced.
        """
        said: Obj = {**QUICK, **(behaviour or {})}
        made = [parse_pool(one, said) if isinstance(one, str) else one for one in pools]
        if nodes is None and not made:
            nodes = DEFAULT_NODES
        if nodes:
            made.insert(0, node_pool(DEFAULT_POOL, nodes, behaviour=said))
        if (start is not None or seed is not None) and not virtual:
            raise BadRequest("start and seed are for virtual time: say virtual=True too")
        self._wanted = Wanted(tuple(made), virtual, _moment(start), 0 if seed is None and virtual else seed,
                              Path(record) if record else None)
        self._kubectl = kubectl
        self._background: Background | None = None

    # ---- its life

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        if self._background is not None:
            raise RuntimeError("this cluster was started already")
        background = Background(self._wanted)
        background.start()
        self._background = background

    def stop(self) -> None:
        """Ends it; nothing of it is left, neither a thread nor a file.  Stopping twice is fine."""
        if self._background is not None:
            self._background.stop()
            self._background = None

    @property
    def _running(self) -> Background:
        if self._background is None:
            raise RuntimeError("this cluster is not running: use it inside its `with` block, or call start()")
        return self._background

    # ---- the way in for clients

    @property
    def url(self) -> str:
        return self._running.url

    @property
    def kubeconfig(self) -> Path:
        """The file for KUBECONFIG: certificates inside, the administrator's rights."""
        return self._running.kubeconfig

    @property
    def client_files(self) -> ClientFiles:
        """What a client of any kind needs beside the URL, as files."""
        pki = self._running.pki
        return ClientFiles(pki / "ca.crt", pki / "admin.crt", pki / "admin.key")

    def kubectl(self, *arguments: object, given: Any = None, timeout: float = PATIENCE_S,
                check: bool = True) -> Said:
        """Runs the real kubectl to its end; `given` goes to its standard input (a dict or a list as JSON).

        Raises KubectlFailed where it fails (unless `check` is False), KubectlNotFound where there is none.
        """
        running = self._running
        kubectl = Kubectl(self._kubectl, self.kubeconfig, running.folder / "cache")
        return kubectl.run(arguments, given, timeout, check, stands_still=running.stepped is not None)

    def client_configuration(self) -> Any:
        """A `kubernetes.client.Configuration` for the package `kubernetes`."""
        return kubernetes_configuration(self.url, self.client_files)

    def kubernetes(self) -> Any:
        """A `kubernetes.client.ApiClient`; close it, or use it as a context manager."""
        return kubernetes_client(self.client_configuration())

    def kr8s(self) -> Any:
        """What `kr8s.api()` returns, for this cluster."""
        return kr8s_api(self.kubeconfig)

    def lightkube(self, **more: Any) -> Any:
        """A `lightkube.Client`; `more` is handed on to it."""
        return lightkube_client(self.kubeconfig, **more)

    # ---- objects, without a client

    def apply(self, what: Obj | list[Obj] | str | Path, namespace: str = "default") -> Any:
        """Creates or changes what is described, as `kubectl apply` would: an object, a list of them, YAML, or a file.

        Returns the object as it is then; a list where there are several.  Raises an ApiError.
        """
        manifests = _manifests(what)
        cluster = self._running.cluster
        for one in manifests:
            check(one, cluster.kinds, cluster.schema)

        async def apply() -> list[Obj]:
            made = []
            for where, value in manifests:
                if not value["metadata"].get("namespace"):
                    value = {**value, "metadata": {**value["metadata"], "namespace": namespace}} if (
                        cluster.kinds.named(value["apiVersion"], value["kind"]).namespaced) else value  # type: ignore[union-attr]
                try:
                    made.append(await cluster.apply(value, user=ADMIN))
                except ApiError as error:
                    raise located(error, Manifest(where, value)) from None
            return made

        found = self._running.call(apply())
        return found[0] if len(found) == 1 else found

    def get(self, what: str, namespace: str = "default") -> Obj | None:
        """The object as it is, or None: `cluster.get("deployment/web")`."""
        return self._running.call(self._look(self._key(what, namespace)))

    def list(self, resource: str, namespace: str = "", labels: str = "") -> list[Obj]:
        """All of one resource ("pods", "deploy"), in one namespace or in all."""
        kind = self._kind(resource)
        client = self._running.cluster.client(ADMIN)

        async def look() -> Any:
            return (await client.list(kind.resource, namespace, labels=labels)).items

        return [*self._running.call(look())]

    def delete(self, what: str, namespace: str = "default") -> None:
        """Marks or removes it; does not wait for it to be gone (`wait_for(what, "deleted")` does)."""
        key, client = self._key(what, namespace), self._running.cluster.client(ADMIN)
        self._running.call(client.delete(key))

    async def _look(self, key: Key) -> Obj | None:
        found = self._running.cluster.store.get(key)
        return found.value if found is not None else None

    # ---- time

    @property
    def now(self) -> datetime:
        """What time it is in the cluster."""
        return datetime.fromtimestamp(self._running.cluster.clock.now(), UTC)

    def advance(self, by: str | float) -> datetime:
        """Lets time pass ("1h", "90s", or seconds): all that happens in it has happened when this returns."""
        loop = self._running.stepped
        if loop is None:
            raise BadRequest("this cluster runs in real time, which can not be advanced: ask for virtual=True")
        self._running.call(loop.advance(_seconds(by, "advance")))
        return self.now

    def wait_for(self, what: str | Callable[[Cluster], Any], until: str | Holds = "exists", *,
                 namespace: str = "default", timeout: str | float = PATIENCE_S) -> Any:
        """Waits (in virtual time: lets just as much time pass) until it holds; returns the object.

            wait_for("deployment/web", "Available")               a condition is True; "Ready=False" is another status
            wait_for("pod/web-0", "deleted"), (..., "exists")     it is gone, it is there
            wait_for("pod/web-0", lambda pod: pod["spec"].get("nodeName"))
            wait_for(lambda cluster: len(cluster.list("pods")) == 3)

        A function of the cluster is asked after every change.  Raises NotYet, which tells how things stand.
        """
        within_s = _seconds(timeout, "timeout")
        if callable(what):
            return self._wait_for_all(what, within_s)
        key, holds = self._key(what, namespace), _condition(until)
        store = self._running.cluster.store
        failed: list[BaseException] = []

        def asks() -> bool:
            found = store.get(key)
            try:
                return bool(holds(found.value if found is not None else None))
            except Exception as error:  # the caller's own function: what it raises is raised to the caller
                failed.append(error)
                return True

        came = self._running.call(self._running.until(asks, within_s))
        if failed:
            raise failed[0]
        found = store.get(key)
        if not came:
            wanted = until if isinstance(until, str) else getattr(until, "__name__", "what was asked for")
            raise NotYet(f"{what} in {namespace}: not {wanted} within {within_s:g} s; "
                         f"{_standing(found.value if found is not None else None)}")
        return found.value if found is not None else None

    def _wait_for_all(self, holds: Callable[[Cluster], Any], within_s: float) -> Any:
        """`holds` asks the cluster itself, so it runs here, in the caller's thread, and not on the loop."""
        history, clock = self._running.cluster.store.history, self._running.cluster.clock
        ends = clock.now() + within_s
        while True:
            seen = history.revision
            if found := holds(self):
                return found
            left = ends - clock.now()

            def changed(seen: int = seen) -> bool:
                return history.revision != seen

            if left <= 0 or not self._running.call(self._running.until(changed, left)):
                raise NotYet(f"{getattr(holds, '__name__', 'what was asked for')} did not hold within {within_s:g} s")

    # ---- words

    def _key(self, what: str, namespace: str) -> Key:
        resource, slash, name = what.partition("/")
        if not slash or not name:
            raise BadRequest(f'{what!r}: an object is named as "pod/web-0" or "deployments.apps/web"')
        return self._kind(resource).key(namespace, name)

    def _kind(self, word: str) -> Kind:
        if (kind := self._running.cluster.kinds.spoken_of(word)) is not None:
            return kind
        raise NotFound(f'the server doesn\'t have a resource type "{word}"')


def _manifests(what: Obj | list[Obj] | str | Path) -> list[Manifest]:
    if isinstance(what, Path):
        return read_manifests(what)
    if isinstance(what, str):
        is_file = "\n" not in what and what.endswith((".yaml", ".yml", ".json"))
        return read_manifests(Path(what)) if is_file else manifests_in(what, "the manifest")
    return manifests_in(json.dumps(what if isinstance(what, dict) else {
        "apiVersion": "v1", "kind": "List", "items": [*what]}), "the manifest")


def _moment(start: str | datetime | None) -> float:
    if start is None:
        return START
    if isinstance(start, datetime):
        return (start if start.tzinfo else start.replace(tzinfo=UTC)).timestamp()
    with contextlib.suppress(ValueError):
        return _moment(datetime.fromisoformat(start))
    raise BadRequest(f"start {start!r}: a time such as 2026-03-01T08:00:00Z is expected")


def _seconds(said: str | float, what: str) -> float:
    try:
        seconds = parse_duration(said) if isinstance(said, str) else float(said)
    except ValueError as error:
        raise BadRequest(f"{what} {said!r}: {error}") from None
    if not 0 <= seconds < 1e11:
        raise BadRequest(f"{what} {said!r}: must be a length of time that ends")
    return seconds


def _condition(until: str | Holds) -> Holds:
    if callable(until):
        return lambda obj: obj is not None and until(obj)
    if until == "exists":
        return lambda obj: obj is not None
    if until == "deleted":
        return lambda obj: obj is None
    name, _, status = until.removeprefix("condition=").partition("=")

    def holds(obj: Obj | None) -> bool:
        found = condition(obj, name) if obj is not None else None
        if found is None or found.get("status", "").lower() != (status or "True").lower():
            return False
        # What is said of an older generation does not count, as for `kubectl wait`.
        seen = found.get("observedGeneration") or (obj or {}).get("status", {}).get("observedGeneration")
        return seen is None or seen >= (obj or {})["metadata"].get("generation", 0)

    return holds


def _standing(obj: Obj | None) -> str:
    if obj is None:
        return "it is not there"
    status = obj.get("status") or {}
    said = [f"{one.get('type')}={one.get('status')}" + (f" ({one['reason']})" if one.get("reason") else "")
            for one in status.get("conditions") or ()]
    if status.get("phase"):
        said.insert(0, f"phase {status['phase']}")
    return "it is there" + (": " + ", ".join(said) if said else ", and says nothing about itself")


