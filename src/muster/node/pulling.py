"""A container's image: found on the node or pulled, and what comes of it when that fails.

    begin           -> PULLING, or on to the start where the image is there
    finish          PULLING -> on to the start, or UNPULLABLE with ErrImagePull
    after_failure   UNPULLABLE -> the back-off is told (ImagePullBackOff), and then all begins again

https://kubernetes.io/docs/concepts/containers/images/#imagepullbackoff
"""
from __future__ import annotations

import math

from ..api.objects import name_of, namespace_of
from . import images
from .durations import go_duration
from .life import FIRST_BACKOFF_S, LONGEST_BACKOFF_S, UNPULLABLE, Run
from .turn import Turn

SHOWN_FAILURE_S = 2.0  # ErrImagePull stands this long before ImagePullBackOff


def begin(turn: Turn, place: int) -> None:
    """Finds the image on the node, or pulls it."""
    part, run, moment = turn.parts[place], turn.runs[place], turn.moment
    if not images.is_valid(part.image):
        _no_image_name(turn, place, run)
        return
    name = images.full_name(part.image)
    there_at = turn.pulls.get(name, turn.host.images.get(name))
    is_there = there_at is not None and there_at <= moment
    if is_there and part.pull_policy != "Always" and not turn.means.pulls_anyway:
        turn.tell(part, "Normal", "Pulled", f'Container image "{part.image}" already present on machine')
        _to_start(turn, place, run)
    elif part.pull_policy == "Never" and not is_there:
        _never_pulled(turn, place, run)
    else:
        turn.tell(part, "Normal", "Pulling", f'Pulling image "{part.image}"')
        after = turn.means.pull(part, run, moment, is_there, there_at)
        if there_at is None and after.until < math.inf and not turn.means.pull_failure(part, run):
            turn.pulls[name] = after.until
        turn.runs[place] = after


def finish(turn: Turn, place: int, run: Run) -> None:
    part = turn.parts[place]
    if why := turn.means.pull_failure(part, run):
        turn.tell(part, "Warning", "Failed", f'Failed to pull image "{part.image}": {why}')
        turn.tell(part, "Warning", "Failed", "Error: ErrImagePull")
        turn.runs[place] = run._replace(
            stage=UNPULLABLE, until=turn.moment + SHOWN_FAILURE_S, waiting=("ErrImagePull", why),
            failed_pulls=run.failed_pulls + 1)
        return
    took, waited = go_duration(run.pull_took), go_duration(turn.moment - run.pull_began)
    size = run.report.size or images.size_bytes(part.image)
    turn.tell(part, "Normal", "Pulled", f'Successfully pulled image "{part.image}" in {took} ({waited} including '
                                        f'waiting). Image size: {size} bytes.')
    _to_start(turn, place, run)


def after_failure(turn: Turn, place: int, run: Run) -> None:
    part = turn.parts[place]
    assert run.waiting is not None, "what can not be pulled says why"
    reason, why = run.waiting
    if reason != "ErrImagePull":
        begin(turn, place)
        return
    backing_off = f'Back-off pulling image "{part.image}"'
    turn.tell(part, "Normal", "BackOff", backing_off)
    turn.tell(part, "Warning", "Failed", "Error: ImagePullBackOff")
    wait_s = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(run.failed_pulls - 1, 10))
    turn.runs[place] = run._replace(until=turn.moment + wait_s - SHOWN_FAILURE_S,
                                    waiting=("ImagePullBackOff", f"{backing_off}: {reason}: {why}"))


def _never_pulled(turn: Turn, place: int, run: Run) -> None:
    part = turn.parts[place]
    why = f'Container image "{part.image}" is not present with pull policy of Never'
    _stay_without_image(turn, place, run, "ErrImageNeverPull", "ErrImageNeverPull", why)


def _no_image_name(turn: Turn, place: int, run: Run) -> None:
    image = turn.parts[place].image
    why = (f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": '
           "invalid reference format")
    _stay_without_image(turn, place, run, "InvalidImageName", "InspectFailed", why)


def _stay_without_image(turn: Turn, place: int, run: Run, reason: str, told_as: str, why: str) -> None:
    part = turn.parts[place]
    turn.sandbox = True
    if run.failed_pulls == 0:
        turn.tell(part, "Warning", told_as, why)
        turn.tell(part, "Warning", "Failed", f"Error: {reason}")
    wait_s = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(run.failed_pulls, 10))
    turn.runs[place] = run._replace(stage=UNPULLABLE, until=turn.moment + wait_s, waiting=(reason, why),
                                    failed_pulls=run.failed_pulls + 1)


def _to_start(turn: Turn, place: int, run: Run) -> None:
    if turn.parts[place].breaks_non_root:
        _refuse_root(turn, place, run)
        return
    turn.runs[place] = turn.means.start(turn.parts[place], run, turn.moment)


def _refuse_root(turn: Turn, place: int, run: Run) -> None:
    part, pod = turn.parts[place], turn.pod
    why = (f'container\'s runAsUser breaks non-root policy (pod: "{name_of(pod)}_{namespace_of(pod)}'
           f'({turn.before.uid})", container: {part.name})')
    turn.tell(part, "Warning", "Failed", f"Error: {why}")
    turn.runs[place] = run._replace(stage=UNPULLABLE, until=turn.moment + FIRST_BACKOFF_S, failed_pulls=0,
                                    waiting=("CreateContainerConfigError", why))
