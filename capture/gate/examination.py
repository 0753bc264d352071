"""All that stands between a finished snapshot and the store, in order: consent, licence, paths, secrets.

What is refused comes with its reason. Knows nothing of settings, queues or the store's file.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capture.consent.licences import LicenceTest
from capture.gate.admission import NotAdmitted, Origins, admitted
from capture.gate.ignored import GitIgnored, Standing
from capture.gate.provider_keys import ScannerBroken
from capture.gate.redaction import SecretScanner
from capture.store.answers import RefusalReason, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from capture.consent.book import ConsentBook
    from capture.snapshot.snapshot import Snapshot

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the user chose: only workspaces under an open-source licence; secrets masked instead of dropped."""

    open_source_only: bool = False
    mask_secrets: bool = False


@dataclass(frozen=True, slots=True)
class Passed:
    """What may be stored, as long as ``still_allowed`` says so; for any thread."""

    snapshot: Snapshot
    still_allowed: Callable[[], bool]


class _Refusal(Exception):
    """Within this module: the snapshot is not to be stored."""

    def __init__(self, reason: RefusalReason, explanation: str) -> None:
        self.reason: RefusalReason = reason
        self.explanation = explanation
        super().__init__(explanation)


class Examination:
    """For one thread, in which its parts are made when the first snapshot comes: that takes a good tenth of a second.

    ``broken`` says why no snapshot can be searched for secrets any more, and so none passes; empty while all is well.
    """

    def __init__(self, consents: ConsentBook, new_scanner: Callable[[], SecretScanner] = SecretScanner) -> None:
        self._consents = consents
        self._new_scanner = new_scanner
        self._scanner: SecretScanner | None = None
        self._ignored = GitIgnored()
        self._licences = LicenceTest()
        self.broken = ""

    def examined(
        self, snapshot: Snapshot, origins: Origins, may_be_seen: Callable[[str], bool], rules: Rules
    ) -> Passed | Refused:
        """What of the snapshot may be stored, or why nothing of it may; ``may_be_seen`` gets absolute paths."""
        try:
            return self._passed(snapshot, origins, may_be_seen, rules)
        except _Refusal as refusal:
            return Refused(snapshot.id, refusal.reason, refusal.explanation)

    def _passed(self, snapshot: Snapshot, origins: Origins, may_be_seen: Callable[[str], bool], rules: Rules) -> Passed:
        if self.broken:
            raise _Refusal("scanner_broken", self.broken)
        self._check_consent(snapshot, origins.root)
        if rules.open_source_only and not self._licences.licence_of(origins.root):
            raise _Refusal("not_open_source", f"no open-source licence is recognised in the folder {origins.root}")
        agreed_for = [origins.root]

        def may_be_kept(path: str) -> bool:
            # A folder in the workspace may have a consent of its own, or none.
            if not may_be_seen(path) or not self._has_consent(path, snapshot.workspace_id):
                return False
            agreed_for.append(path)
            return True

        def standing(path: str) -> Standing:
            return self._ignored.standing(path, workspace=origins.root)

        found = admitted(snapshot, origins, may_be_seen=may_be_kept, standing=standing)
        if isinstance(found, NotAdmitted):
            raise _Refusal("excluded", found.reason)
        without_secrets = self._without_secrets(found, mask=rules.mask_secrets)
        return Passed(
            without_secrets, lambda: all(self._has_consent(path, snapshot.workspace_id) for path in agreed_for)
        )

    # Consent

    def _check_consent(self, snapshot: Snapshot, root: str) -> None:
        decision = self._consents.decide(root)
        if decision.consent is None:
            raise _Refusal("no_consent", decision.reason)
        if decision.consent.workspace_id != snapshot.workspace_id:
            raise _Refusal("no_consent", f"the consent it was begun under has ended; there is another one for {root}")

    def _has_consent(self, path: str, workspace_id: str) -> bool:
        consent = self._consents.for_workspace(path)
        return consent is not None and consent.workspace_id == workspace_id

    # Secrets

    def _without_secrets(self, snapshot: Snapshot, *, mask: bool) -> Snapshot:
        try:
            if self._scanner is None:
                self._scanner = self._new_scanner()
            return _searched(self._scanner, snapshot, mask=mask)
        except (ScannerBroken, ImportError) as error:
            self.broken = f"nothing is captured, because secrets cannot be looked for: {error}"
            log.warning("%s", self.broken)
            raise _Refusal("scanner_broken", self.broken) from error
        except OSError as error:  # no memory or no descriptor for the file in memory; there may be the next time
            raise _Refusal("scan_failed", f"it could not be searched for secrets: {error.strerror}") from error


def _searched(scanner: SecretScanner, snapshot: Snapshot, *, mask: bool) -> Snapshot:
    """The snapshot when it is clean, or masked so that it is; raises _Refusal, and what the scanner raises."""
    texts = snapshot.texts()
    verdict = scanner.verdict(texts)
    if verdict.found and mask:
        masked, verdict = scanner.redacted(texts)
        if verdict.is_clean:
            changed = {place: text for place, text in masked.items() if text != texts[place]}
            try:
                return snapshot.with_texts(changed, redactions=len(changed))
            except ValueError as error:  # not repeated: it may name what was masked
                raise _Refusal("secret", "a secret stands where it cannot be masked") from error
    if verdict.found:
        raise _Refusal("secret", f"it holds what looks like a secret ({', '.join(verdict.found)})")
    if verdict.exceeded:
        raise _Refusal("scan_too_long", "searching it for secrets took longer than it may")
    return snapshot
