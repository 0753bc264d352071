"""``foretype/status``: why this window's last request got nothing, and what the last answer cost.

For fronts and the demo. Counters are the engine's, also where an answer was reused; ``seconds`` is the worker's time.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daemon.lsp.session import Session


async def status(session: Session, _params: Any) -> dict[str, Any]:
    """The reason (empty after a prediction) and the last answer's counters, None before the first."""
    answer = session.predictor.last_answer
    last = (
        None
        if answer is None
        else {"counters": asdict(answer.counters), "confidence": answer.confidence, "seconds": answer.seconds}
    )
    return {"reason": session.predictor.last_reason, "last": last}
