"""Whether a workspace is open source: a licence file at its root with a licence of the list below, and no more.

The rule `open_source_only` asks here. The list and the names of the files are those of Zed's data collection
(crates/edit_prediction/src/license_detection.rs at zed 09adbb01): Apache-2.0, BSD, 0BSD, ISC, MIT, UPL-1.0, Zlib. The
test is strict, because an unknown licence is a no: before the licence itself a file may hold a title and copyright
lines, and nothing behind it, so that one with a clause of its own (no commercial use, say) is not recognised. Of
Apache-2.0 also the short notice counts. Knows nothing of who holds the copyright.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections import OrderedDict
from pathlib import Path

# Apache-2.0 with appendix has 1,600 words; whatever is longer is another text.
MAX_LICENCE_BYTES = 32 * 1024
MAX_WORDS_BEFORE = 60  # a title and copyright lines
MAX_WORKSPACES = 64  # whose answer is kept

_FILE_NAME = re.compile(
    r"(?:licen[sc]e(?:[.\-_](?:apache(?:[.\-_]2(?:\.0)?)?|0?bsd(?:[.\-_][0-4][.\-_]clause)?|isc|mit|upl|zlib))?"
    r"|(?:apache(?:[.\-_]2(?:\.0)?)?|0?bsd(?:[.\-_][0-4][.\-_]clause)?|isc|mit|upl|zlib))"
    r"(?:\.txt|\.md)?",
    re.IGNORECASE,
)


class LicenceTest:
    """Asks for the licences of workspaces; an answer is kept until the root's licence files change."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[tuple[tuple[str, int, int, int], ...], str]] = OrderedDict()

    def licence_of(self, root: str) -> str:
        """The SPDX name of the licence at the root of the folder ``root``, empty when none is recognised.

        Files that git ignores count too. What is no folder (an editor opened a single file) has no licence.
        """
        files = _licence_files(root)
        known = self._known.get(root)
        if known is None or known[0] != files:
            names = (_licence_in(Path(root, name)) for name, *_ in files)
            known = (files, next((name for name in names if name), ""))
        self._known[root] = known
        self._known.move_to_end(root)
        if len(self._known) > MAX_WORKSPACES:
            self._known.popitem(last=False)
        return known[1]


def licence_in(text: str) -> str:
    """The SPDX name of the licence that ``text`` is, empty when it is none of the list."""
    words = " ".join(re.findall(r"[a-z0-9]+", text.lower()))
    whole_apache = _APACHE.fullmatch(words)
    if whole_apache is not None:
        return "Apache-2.0" if _digest(whole_apache["body"]) == _APACHE_BODY_SHA256 else ""
    return next((name for name, pattern in _PATTERNS.items() if pattern.fullmatch(words)), "")


def _licence_files(root: str) -> tuple[tuple[str, int, int, int], ...]:
    """Name, inode, size and time of change of each file at ``root`` that may hold its licence, links followed."""
    found = []
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                if _FILE_NAME.fullmatch(entry.name):
                    status = entry.stat()
                    if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_LICENCE_BYTES:
                        found.append((entry.name, status.st_ino, status.st_size, status.st_mtime_ns))
    except OSError:  # it is no folder, cannot be read, or a link leads nowhere: not known to be open source
        return ()
    return tuple(sorted(found))


def _licence_in(path: Path) -> str:
    try:
        return licence_in(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):  # not known to be open source
        return ""


def _digest(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()


# --- the texts, as lower-case words; a group that may be missing ends in a space ---

# No title and no name has one of these words; what would add to the licence or take from it has.
_NEUTRAL = r"(?!(?:may|must|shall|not?|non|only|except|unless|provided|commercial|noncommercial|commons)\b)\w+"
_BEFORE = rf"(?:{_NEUTRAL} ){{0,{MAX_WORDS_BEFORE}}}?"
_NAME = rf"(?:{_NEUTRAL} ){{0,14}}"  # who is named where the text says "the author", "the copyright holders", ...

_MIT_DISCLAIMER = (
    r"the software is provided as is without warranty of any kind express or implied including but not limited to the"
    r" warranties of merchantability fitness for a particular purpose and non ?infringement in no event shall"
    rf" {_NAME}be liable for any claim damages or other liability whether in an action of contract tort or otherwise"
    r" arising from out of or in connection with the software or the use or other dealings in the software"
)
_ISC_GRANT = (
    r"permission to use copy modify and (?:or )?distribute this software for any purpose with or without fee is hereby"
    r" granted"
)
_ISC_DISCLAIMER = (
    rf"the software is provided as is and {_NAME}disclaims? all warranties with regard to this software including all"
    rf" implied warranties of merchantability and fitness in no event shall {_NAME}be liable for any special direct"
    r" indirect or consequential damages or any damages whatsoever resulting from loss of use data or profits whether"
    r" in an action of contract negligence or other tortious action arising out of or in connection with the use or"
    r" performance of this software"
)
_BODIES = {
    "MIT": (
        r"permission is hereby granted free of charge to any person obtaining a copy of this software and associated"
        r" documentation files the software to deal in the software without restriction including without limitation"
        r" the rights to use copy modify merge publish distribute sublicense and or sell copies of the software and to"
        r" permit persons to whom the software is furnished to do so subject to the following conditions the above"
        r" copyright notice and this permission notice (?:including the next paragraph )?shall be included in all"
        rf" copies or substantial portions of the software {_MIT_DISCLAIMER}"
    ),
    "ISC": (
        rf"{_ISC_GRANT} provided that the above copyright notice and this permission notice appear in all copies"
        rf" {_ISC_DISCLAIMER}"
    ),
    "0BSD": rf"{_ISC_GRANT} {_ISC_DISCLAIMER}",
    "BSD": (
        r"redistribution and use in source and binary forms with or without modification are permitted provided that"
        r" the following conditions are met"
        r" (?:[1a] )?redistributions of source code must retain the above copyright notice this list of conditions and"
        r" the following disclaimer"
        r" (?:(?:[2b] )?redistributions in binary form must reproduce the above copyright notice this list of"
        r" conditions and the following disclaimer in the documentation and or other materials provided with the"
        r" distribution )?"
        r"(?:(?:[3c] )?all advertising materials mentioning features or use of this software must display the following"
        rf" acknowledge?ment this product includes software developed by {_NAME})?"
        rf"(?:(?:[34cd] )?neither the names? of {_NAME}nor the names of {_NAME}may be used to endorse or promote"
        r" products derived from this software without specific prior written permission )?"
        rf"this software is provided by {_NAME}as is and any express or implied warranties including but not limited to"
        r" the implied warranties of merchantability and fitness for a particular purpose are disclaimed in no event"
        rf" shall {_NAME}be liable for any direct indirect incidental special exemplary or consequential damages"
        r" including but not limited to procurement of substitute goods or services loss of use data or profits or"
        r" business interruption however caused and on any theory of liability whether in contract strict liability or"
        r" tort including negligence or otherwise arising in any way out of the use of this software even if advised of"
        r" the possibility of such damage"
    ),
    "UPL-1.0": (
        r"subject to the condition set forth below permission is hereby granted to any person obtaining a copy of this"
        r" software associated documentation and or data collectively the software free of charge and under any and all"
        r" copyright rights in the software and any and all patent rights owned or freely licensable by each licensor"
        r" hereunder covering either i the unmodified software as contributed to or provided by such licensor or ii the"
        r" larger works as defined below to deal in both a the software and b any piece of software and or hardware"
        r" listed in the lrgrwrks txt file if one is included with the software each a larger work to which the"
        r" software is contributed by such licensors without restriction including without limitation the rights to"
        r" copy create derivative works of display perform and distribute the software and make use sell offer for sale"
        r" import export have made and have sold the software and the larger works? s? ?and to sublicense the foregoing"
        r" rights on either these or other terms this license is subject to the following condition the above copyright"
        r" notice and either this complete permission notice or at a minimum a reference to the upl must be included in"
        rf" all copies or substantial portions of the software {_MIT_DISCLAIMER}"
    ),
    "Zlib": (
        r"this software is provided as is without any express or implied warranty in no event will the authors be"
        r" held liable for any damages arising from the use of this software permission is granted to anyone to use"
        r" this software for any purpose including commercial applications and to alter it and redistribute it freely"
        r" subject to the following restrictions (?:1 )?the origin of this software must not be misrepresented you must"
        r" not claim that you wrote the original software if you use this software in a product an acknowledge?ment in"
        r" the product documentation would be appreciated but is not required (?:2 )?altered source versions must be"
        r" plainly marked as such and must not be misrepresented as being the original software (?:3 )?this notice may"
        r" not be removed or altered from any source distribution"
    ),
    "Apache-2.0": (
        r"licensed under the apache license version 2 0 the license you may not use this (?:file|software|project|work)"
        r" except in compliance with the license you may obtain a copy of the license at https? www apache org licenses"
        r" license 2 0 unless required by applicable law or agreed to in writing software distributed under the license"
        r" is distributed on an as is basis without warranties or conditions of any kind either express or implied see"
        r" the license for the specific language governing permissions and limitations under the license"
    ),
}
_PATTERNS = {name: re.compile(_BEFORE + body) for name, body in _BODIES.items()}
# The whole text has no place for names, so its words are compared as one: from the terms to the end of section 9.
_APACHE = re.compile(
    rf"{_BEFORE}apache license version 2 0 january 2004 (?:https? www apache org licenses )?"
    r"(?P<body>terms and conditions for use reproduction and distribution 1 "
    r".* any such warranty or additional liability)"
    r"(?: end of terms and conditions)?(?: appendix how to apply the apache license to your work(?: \w+){0,172})?"
)
_APACHE_BODY_SHA256 = "c876a853e3837603a39d56da29306b74786b34411bf636ce5072eb840e764cab"
