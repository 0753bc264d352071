"""``foretype/status``: why this window's last request got nothing, and what the last answer cost.

For fronts, the demo and the benchmark; everything is about this window alone. The result:

- ``reason``: why the last question got nothing; empty after a prediction.
- ``source``: how the last question's prediction came about (`daemon.prediction.Source`), None without one.
- ``origin``: who wrote it (`daemon.engine.messages.Origin`): the ``model``, or the ``rule`` where the model found that
  likelier than its own answer; None without one.
- ``last``: the latest answer, be it an edit or none, or None before the first. A question that was given up or refused
  is not answered, and leaves it as it is. Its members: ``question`` (which of the window's questions, from 1),
  ``counters`` and ``seconds`` (what it cost the engine, see `daemon.engine.messages`; zero where it was reused),
  ``confidence``, and ``reused``. That is empty where the engine worked for this question; ``asked again`` where the
  same was asked before; else what an earlier prediction has become, as `daemon.reuse` finds out: ``typed into``,
  ``moved`` (rebased over edits elsewhere), ``rest`` (the next part of an answer of which one part was accepted) or
  ``unchanged`` (what was typed since was taken back).
- ``totals`` since the window opened: the questions ``asked``, of these ``answered_by_model`` and ``answered_by_reuse``;
  what the engine did for them, guesses at the next question included: ``predictions``, of these ``aborted`` and
  ``taken``, ``tokens_evaluated``, of these ``tokens_in_vain`` (`daemon.status.Work` says what exactly that is); and
  under ``ahead`` the same five for what was computed as if a prediction were accepted, which is in none of the others.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daemon.lsp.session import Session


async def status(session: Session, _params: Any) -> dict[str, Any]:
    """The five members that this module describes."""
    predictor = session.predictor
    predicted, answer = predictor.last_prediction, predictor.last_answer
    return {
        "reason": predictor.last_reason,
        "source": None if predicted is None else predicted.source.value,
        "origin": None if predicted is None else predicted.origin.value,
        "last": None if answer is None else asdict(answer),
        "totals": predictor.totals,
    }
