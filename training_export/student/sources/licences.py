"""Which licence a text is, by the sentences that no other has; and whether the archives say what the manifest says.

No legal advice: a text that is not known for certain is not recognised. Knows nothing of the network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from training_export.student.sources.archives import members
from training_export.student.sources.manifest import Archive, Manifest

_SENTENCES: Final = (
    # Of two that begin at the same place the first counts.
    ("GPL", re.compile(r"gnu (?:lesser |library |affero )?general public license", re.IGNORECASE)),
    ("MPL-2.0", re.compile(r"mozilla public license", re.IGNORECASE)),
    ("Apache-2.0", re.compile(r"apache license,? version 2\.0", re.IGNORECASE)),
    ("PSF-2.0", re.compile(r"python software foundation license version 2", re.IGNORECASE)),
    ("Unlicense", re.compile(r"free and unencumbered software released into the public domain", re.IGNORECASE)),
    (
        "Zlib",
        re.compile(r"origin of this software must not be misrepresented.*altered source versions", re.IGNORECASE),
    ),
    (
        "MIT",
        re.compile(r"permission is hereby granted, free of charge.*above copyright notice and this", re.IGNORECASE),
    ),
    (
        "BSD-3-Clause",
        re.compile(r"redistribution and use in source and binary forms.*neither the names?", re.IGNORECASE),
    ),
    (
        "BSD-3-Clause",
        re.compile(
            r"redistribution and use in source and binary.*(?:may not be used|be used) to endorse", re.IGNORECASE
        ),
    ),
    ("BSD-2-Clause", re.compile(r"redistribution and use in source and binary forms", re.IGNORECASE)),
    (
        "ISC",
        re.compile(
            r"permission to use, copy, modify, and/?(?:or)? distribute.*notice and this permission", re.IGNORECASE
        ),
    ),
    ("0BSD", re.compile(r"permission to use, copy, modify, and/or distribute", re.IGNORECASE)),
)
_SAID_IN_METADATA: Final = {
    "MIT": re.compile(r"\bMIT\b"),
    "Apache-2.0": re.compile(r"\bApache\b"),
    "BSD-2-Clause": re.compile(r"\bBSD\b"),
    "BSD-3-Clause": re.compile(r"\bBSD\b"),
    "ISC": re.compile(r"\bISC\b"),
    "PSF-2.0": re.compile(r"\bPSF|Python Software Foundation"),
    "0BSD": re.compile(r"\b0BSD\b"),
    "Zlib": re.compile(r"\bzlib\b", re.IGNORECASE),
    "Unlicense": re.compile(r"\bUnlicense\b"),
}
_METADATA: Final = re.compile(r"(?:^|/)(?:PKG-INFO|METADATA|package\.json)$")
_LICENCE_LINES: Final = re.compile(
    r"^(?:License|License-Expression|Classifier: License)\b.*$|^\s*\"license\":.*$", re.MULTILINE
)


def recognised(text: str) -> str | None:
    """The SPDX name of the licence a text begins with, None where none that is known is in it.

    Many a licence file goes on with those of parts that the package brings along.
    """
    flowing = " ".join(text.split())
    found = [
        (match.start(), rank, name) for rank, (name, said) in enumerate(_SENTENCES) if (match := said.search(flowing))
    ]
    return min(found)[2] if found else None


def licence_doubts(manifest: Manifest, folder: Path) -> Iterator[str]:
    """A sentence for each place where an archive in ``folder`` does not say what the manifest says.

    A licence that the manifest says to stand elsewhere than in a file must at least be in the archive's metadata,
    unless it stands in the headers. Raises ArchiveRefused.
    """
    for archive in manifest.archives:
        yield from _doubts_of(archive, archive.pinned.path_in(folder))


def _doubts_of(archive: Archive, path: Path) -> Iterator[str]:
    files = {take.licence_file for take in archive.takes if take.licence_file}
    found = {
        name: data.decode(errors="replace")
        for name, data in members(path, lambda name: name in files or _METADATA.search(name) is not None)
    }
    metadata = "\n".join(
        line
        for name in sorted(found, key=lambda name: name.count("/"))[:3]
        if _METADATA.search(name)
        for line in _LICENCE_LINES.findall(found[name])
    )
    for take in archive.takes:
        licences = re.split(r"\s+(?:OR|AND)\s+", take.project.licence)
        where = f"{path.name}: {take.project.name}"
        if take.licence_file and take.licence_file not in found:
            yield f"{where}: there is no {take.licence_file}"
        elif take.licence_file and recognised(found[take.licence_file]) not in licences:
            yield f"{where}: {take.licence_file} is {recognised(found[take.licence_file])}, not {take.project.licence}"
        elif "metadata" in take.licence_said_in and not all(
            _SAID_IN_METADATA[each].search(metadata) for each in licences
        ):
            yield f"{where}: its metadata does not say {take.project.licence}"
