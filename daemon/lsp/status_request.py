"""``foretype/status``: why this window's last request got nothing, and what the last answer cost.

For fronts, the demo and the benchmark. ``last`` is the engine's last answer, whatever became of it; ``source`` says
how the last question was answered (`daemon.prediction.Source`), as a reused prediction costs the engine nothing.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daemon.lsp.session import Session


async def status(session: Session, _params: Any) -> dict[str, Any]:
    """The reason (empty after a prediction), the last answer's counters and where the prediction came from, or None."""
    predicted = session.predictor.last_prediction
    answer = session.predictor.last_answer
    last = (
        None
        if answer is None
        else {"counters": asdict(answer.counters), "confidence": answer.confidence, "seconds": answer.seconds}
    )
    return {
        "reason": session.predictor.last_reason,
        "last": last,
        "source": None if predicted is None else predicted.source.value,
    }
