"""The learning rate over the updates, and how many updates there are when time is what is given.

Warm-up, constant, then linear to zero. With `finish_within_s` the number of
updates is fixed after `measure_s` of measuring, and once more when the decay is
about to begin, so that a run that grew slower or faster still ends in time.
Knows no torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from model.training.config import OptimiserConfig, RunConfig


@dataclass
class Schedule:
    """Which learning rate an update has, and when to stop. Updates count from 0; times are seconds since the start."""

    optimiser: OptimiserConfig
    run: RunConfig
    total: int  # updates; a guess until `is_fixed`
    is_fixed: bool = False
    decay_began: int | None = None  # update at which it did, once the number of updates is final
    _measured_from: tuple[int, float] | None = None  # (update, time) after compilation

    @classmethod
    def of(cls, optimiser: OptimiserConfig, run: RunConfig) -> Schedule:
        """Return the schedule of a run that begins."""
        return cls(optimiser, run, run.updates, is_fixed=not run.finish_within_s)

    @property
    def decay_begin(self) -> int:
        if self.decay_began is not None:
            return self.decay_began
        return round(self.total * (1 - self.optimiser.decay_share))

    def rate(self, update: int) -> float:
        """Return the learning rate of `update`."""
        warm_up = min(1.0, (update + 1) / self.optimiser.warm_up_updates)
        if not self.is_fixed or update < self.decay_begin:
            return self.optimiser.peak_rate * warm_up
        left = (self.total - update) / max(1, self.total - self.decay_begin)
        return self.optimiser.peak_rate * min(warm_up, left)

    def finished(self, update: int) -> bool:
        """Say whether `update` is past the last."""
        return self.is_fixed and update >= self.total

    def tick(self, done: int, now_s: float) -> bool:
        """Note that `done` updates are done at `now_s`; return whether the number of updates was (re)fixed just now."""
        if not self.run.finish_within_s or self.decay_began is not None:
            return False
        if self._measured_from is None:  # the first update compiled: it measures nothing
            self._measured_from = (done, now_s)
            return False
        since_update, since_s = self._measured_from
        measured = now_s - since_s >= self.run.measure_s and done > since_update
        about_to_decay = self.is_fixed and done >= self.decay_begin
        if not (about_to_decay or (measured and not self.is_fixed)):
            return False
        update_s = (now_s - since_s) / max(1, done - since_update)
        left = int((self.run.finish_within_s - self.run.reserve_s - now_s) / update_s)
        self.total = min(self.run.updates, done + max(1, left))
        self.is_fixed = True
        if about_to_decay:
            self.decay_began = done
        self._measured_from = (done, now_s)
        return True

    def to_dict(self) -> dict[str, int | None]:
        """Return what a run needs to go on."""
        return {"total": self.total, "decay_began": self.decay_began}

    def resume(self, saved: dict[str, int | None]) -> None:
        """Go on as a killed run would have: a decay that has begun ends as planned, else time is measured anew."""
        if saved["decay_began"] is not None:
            self.total, self.decay_began, self.is_fixed = int(saved["total"] or 0), saved["decay_began"], True
