"""`setfill/whySilent`: why the last place of a file stayed without a suggestion, in the user's words.

Local suggestions that silently do not come are what users complain of most. Any client can ask: the parameters are
`{"textDocument": {"uri"}, "position"?}`, the answer is `{reason, message, setting, position, invoked, tookMs, spent,
...}` with the numbers that `reason` calls for. `setting` names the setting that decides, null where none does; `spent`
says where the time of an answer went, see `spent.py`. An editor need not have asked for a suggestion where its cursor
stands; with `position`, what speaks against that place comes first.

Knows reasons, settings and words; what came of a request, `silence` keeps.
"""

from __future__ import annotations

from typing import Any

from lsprotocol import types

from lsp_server.lengths import silent_here
from lsp_server.open_document import OpenDocument
from lsp_server.protocol import contained, invalid_params, problem_json, uri_in
from lsp_server.server import SetfillServer
from lsp_server.silence import Outcome, Reason
from lsp_server.state import State

WHY_SILENT = "setfill/whySilent"

_SETTINGS = {
    Reason.OFF: "enabled",
    Reason.LANGUAGE_OFF: "disabledLanguages",
    Reason.PATH_OFF: "disabledPaths",
    Reason.EXCLUDED: "exclude",
    Reason.ON_DEMAND: "automatic",
    Reason.COMMENT: "inComments",
    Reason.UNLIKELY: "eagerness",
    Reason.BELOW_FLOOR: "confidenceFloor",
    Reason.TIME_LIMIT: "timeLimitMs",
}

_MESSAGES = {
    Reason.SHOWN: "A suggestion was sent to the editor for line {line}.",
    Reason.RUNNING: "The suggestion is still being computed, for {took_s:.1f} s now: the model reads the file.",
    Reason.NOT_OPEN: "The editor has not told Setfill of this file.",
    Reason.OFF: "Suggestions are off.",
    Reason.LANGUAGE_OFF: "Suggestions are off for {language}.",
    Reason.PATH_OFF: "Suggestions are off for this file, by its path.",
    Reason.EXCLUDED: "This file is excluded: the model never sees it.",
    Reason.LOST: "Setfill lost track of this file: {problem}.",
    Reason.ON_DEMAND: "Suggestions come only when asked for by hand.",
    Reason.NOT_ASKED: "The editor has not asked for a suggestion in this file yet.",
    Reason.LOADING: "The model is still loading ({percent:.0f} %).",
    Reason.WORKER_DOWN: "There is no model: {problem}",
    Reason.EMPTY_FILE: "The file is empty. Asked by hand, Setfill suggests a beginning.",
    Reason.INSIDE_WORD: "The cursor stands inside a word. Asked by hand, Setfill suggests there too.",
    Reason.TEXT_BEHIND: "Text stands right of the cursor, and this model does not see it.",
    Reason.COMMENT: "Suggestions in comments are off.",
    Reason.UNLIKELY: "A suggestion was held back: those like it are right {chance:.0%} of the time, and with the "
    "eagerness {eagerness} they are shown from {least:.0%} on."
    "{why}",
    Reason.BELOW_FLOOR: "The model was not sure enough: {confidence:.2f}, and the floor is {floor:.2f}.",
    Reason.NOTHING_MISSING: "The model thinks that nothing is missing here.",
    Reason.NOTHING_LEFT: "What the model said stands behind the cursor already, or would break the syntax.",
    Reason.TIME_LIMIT: "The time limit of {limit_ms} ms came before there was anything to show.",
    Reason.OVERTAKEN: "The next key came before the suggestion. It is computed once the keys rest.",
    Reason.WITHDRAWN: "The editor withdrew the question, or the file changed while it was answered.",
    Reason.FAILED: "Computing failed: {problem}",
}

_AGAINST = {
    "confidence": " The model was unsure of its words.",
    "loss": " It is long for how sure the model was.",
    "flaws": " The file has a syntax error with it.",
    "mends": " It leaves a syntax error that stands there.",
}
"""Numbers of `worth` that can speak against a suggestion, in words."""


def register(server: SetfillServer) -> None:
    """Add the feature to a server."""
    state = server.state

    @server.feature(WHY_SILENT)
    @contained
    async def why_silent(params: Any) -> dict[str, Any]:
        uri = uri_in(params)
        if uri is None:
            raise invalid_params("the parameters must have textDocument.uri")
        if problem := state.documents.unknown.get(uri):
            return _answer_for_lost(problem)
        document = state.documents.get(uri)
        outcome = state.suggester.outcome_of(document) if document else None
        if document and params.get("position") is not None:
            position = server.protocol.converter.structure(params["position"], types.Position)
            outcome = await _outcome_at(state, document, position, outcome)
        return answer(state, document, outcome)


async def _outcome_at(
    state: State, document: OpenDocument, position: types.Position, last: Outcome | None
) -> Outcome | None:
    """Return what would come of a request at another place than the last one, if that can be told; else the last."""
    description = state.worker.description
    if description is None or (last and last.position == position):
        return last
    snapshot = state.snapshot(document.uri)
    cursor_char = snapshot.char_at(position)
    here = silent_here(await snapshot.syntax(), cursor_char, snapshot.settings, sees_suffix=description.sees_suffix)
    return Outcome(position, is_invoked=False).because(here) if here else last


def _answer_for_lost(problem: str) -> dict[str, Any]:
    nothing = dict.fromkeys(("setting", "position", "invoked", "tookMs", "spent"))
    message = _MESSAGES[Reason.LOST].format(problem=problem)
    return {"reason": Reason.LOST.value, "message": message, **nothing, "problem": problem}


def answer(state: State, document: OpenDocument | None, outcome: Outcome | None) -> dict[str, Any]:
    """Return why a file stayed without a suggestion, as JSON. `outcome`: of the request that is asked about."""
    reason, details = _reason(state, document, outcome)
    is_of_outcome = outcome is not None and reason is outcome.reason
    words = {
        "language": document.language_id or document.language.name if document else "",
        "limit_ms": state.settings.time_limit_ms * (4 if outcome and outcome.is_invoked else 1),
        "line": outcome.position.line + 1 if outcome else 0,
        "took_s": outcome.took_ms / 1000 if outcome else 0.0,
        "why": _AGAINST.get(details.get("against") or "", ""),
    }
    return {
        "reason": reason.value,
        "message": _MESSAGES[reason].format(**words, **details),
        "setting": _SETTINGS.get(reason),
        "position": outcome.position if outcome and is_of_outcome else None,
        "invoked": outcome.is_invoked if outcome and is_of_outcome else None,
        "tookMs": round(outcome.took_ms) if outcome and is_of_outcome else None,
        "spent": outcome.spent.to_json() if outcome and outcome.spent and is_of_outcome else None,
        **details,
    }


def _reason(state: State, document: OpenDocument | None, outcome: Outcome | None) -> tuple[Reason, dict[str, Any]]:
    """Return what keeps the file silent now; where nothing does, what came of its last request."""
    worker = state.worker
    if document is None:
        return Reason.NOT_OPEN, {}
    if disabled := state.documents.admission.why_disabled(document):
        return disabled, {}
    if worker.problem:
        return Reason.WORKER_DOWN, problem_json(worker.problem)
    if worker.description is None:
        return Reason.LOADING, {"percent": round(100 * worker.loaded_share)}
    if not state.settings.automatic and not (outcome and outcome.is_invoked):
        return Reason.ON_DEMAND, {}
    return (outcome.reason, outcome.details) if outcome else (Reason.NOT_ASKED, {})
