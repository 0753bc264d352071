"""Which documents may be seen follows the settings and the workspace at once."""

from __future__ import annotations

from dataclasses import replace

from daemon.lsp.documents import Documents
from daemon.settings import Settings

URI = "file:///home/ada/project/build/a.py"
PATTERN = "an exclude pattern of your settings"


def opened(*folders):
    documents = Documents(clock=lambda: 0.0)
    documents.set_folders(folders)
    return documents, documents.open(URI, "python", 1, "x = 1\n")


def test_settings_that_change_count_for_the_next_question():
    documents, document = opened("file:///home/ada/project")
    settings = Settings()
    assert documents.refusal(document, settings) == ""
    assert PATTERN in documents.refusal(document, replace(settings, exclude=("/build/",)))
    assert documents.refusal(document, replace(settings, disabled_folders=("/home/ada",))).endswith("/home/ada")
    assert "not valid" in documents.refusal(document, replace(settings, exclude=("a\\",)))
    assert documents.refusal(document, settings) == ""


def test_an_anchored_pattern_follows_the_workspace_when_its_folders_change():
    documents, document = opened("file:///home/ada")
    settings = replace(Settings(), exclude=("/build/",))
    assert documents.refusal(document, settings) == ""
    documents.set_folders(["file:///home/ada/project", "file:///home/ada"])
    assert PATTERN in documents.refusal(document, settings)
    documents.set_folders(["file:///home/ada"])
    assert documents.refusal(document, settings) == ""
