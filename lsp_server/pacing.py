"""How eagerly to compute: the wait for the next key follows the measured speed, and batteries are spared.

Knows times and the power supply; knows nothing of what is computed.
"""

from __future__ import annotations

import time
from pathlib import Path

_FIRST_GUESS_MS = 300.0
_FIRST_GUESS_FORWARD_MS = 25.0
_BEAMS_FORWARDS = 12  # that beams take for a line, each of several times the rows; greedy decoding takes 6
_MOST_BEAMS_MS = 300.0  # for a line while the user types: who pauses looks for an answer within a third of a second
_SMOOTHING = 0.25  # weight of the newest measurement
_LEAST_MS = 10.0
# Of a decode's time, and milliseconds at most. The next key ends a decode within a layer of the network, and editors
# wait by themselves before they ask: on the mains what is waited is time that the user waits.
_SHARE_OF_DECODE, _MOST_MS = 0.1, 30.0
_SHARE_OF_DECODE_ON_BATTERY, _MOST_MS_ON_BATTERY = 0.3, 150.0
_POWER_SECONDS = 30.0  # how long an answer about the battery is good
_SUPPLIES = Path("/sys/class/power_supply")


class Pace:
    """Measures decodes, and says how long to wait before the next one."""

    def __init__(self) -> None:
        self.decode_ms = _FIRST_GUESS_MS
        self._forward_ms = _FIRST_GUESS_FORWARD_MS
        self._busy_until = 0.0  # on the monotonic clock: throttled until then

    def measured(self, decode_ms: float, forwards: int) -> None:
        """Note how long a decode took that came to its end, in milliseconds, and how many forwards."""
        self.decode_ms += _SMOOTHING * (decode_ms - self.decode_ms)
        self._forward_ms += _SMOOTHING * (decode_ms / max(1, forwards) - self._forward_ms)

    @property
    def allows_beams(self) -> bool:
        """Whether beams are fast enough here to suggest while the user types."""
        return _BEAMS_FORWARDS * self._forward_ms <= _MOST_BEAMS_MS

    def spent(self, ms: float, throttle: float) -> None:
        """Note that so many milliseconds were computed; `throttle` is the share of time that may be."""
        self._busy_until = time.monotonic() + ms / 1000 * (1 / throttle - 1)

    def debounce_ms(self, fixed_ms: int | None, *, on_battery: bool) -> float:
        """Return how long to wait for another key."""
        if fixed_ms is not None:
            return float(fixed_ms)
        if on_battery:
            return min(_MOST_MS_ON_BATTERY, max(_LEAST_MS, _SHARE_OF_DECODE_ON_BATTERY * self.decode_ms))
        return min(_MOST_MS, max(_LEAST_MS, _SHARE_OF_DECODE * self.decode_ms))

    def wait_seconds(self, debounce_ms: float) -> float:
        """Return how long an automatic request waits before it may compute, at least for another key."""
        return max(debounce_ms / 1000, self._busy_until - time.monotonic())


class PowerSupply:
    """Whether the machine runs on battery. Where that cannot be told it does not."""

    def __init__(self, supplies: Path = _SUPPLIES) -> None:
        self._supplies = supplies
        self._checked_at = -_POWER_SECONDS
        self._on_battery = False

    def on_battery(self) -> bool:
        """Return whether the mains are off. Looks at most twice a minute."""
        if time.monotonic() - self._checked_at >= _POWER_SECONDS:
            self._checked_at = time.monotonic()
            self._on_battery = self._look()
        return self._on_battery

    def _look(self) -> bool:
        kinds: dict[str, list[str]] = {"Mains": [], "USB": [], "Battery": []}
        try:
            for supply in self._supplies.iterdir():
                kind = (supply / "type").read_text().strip()
                state = supply / ("status" if kind == "Battery" else "online")
                if kind in kinds and state.exists():
                    kinds[kind].append(state.read_text().strip())
        except OSError:
            return False  # another system, or no right to look
        if "1" in kinds["Mains"] or "1" in kinds["USB"]:
            return False
        return "Discharging" in kinds["Battery"]
