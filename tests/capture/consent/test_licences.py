"""A workspace is open source when a file at its root is one of the licences of the list, and nothing but that."""

import textwrap
from importlib import metadata
from pathlib import Path

import pytest

from capture.consent.licences import MAX_LICENCE_BYTES, LicenceTest, licence_in

MIT = """\
MIT License

Copyright (c) 2024 Ada Example and others
Copyright (c) 2025 A Company, Inc.

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""
ISC = """\
Copyright 2023, Ada Example

Permission to use, copy, modify, and/or distribute this software for any
purpose with or without fee is hereby granted, provided that the above
copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH
REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY
AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,
INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM
LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR
OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR
PERFORMANCE OF THIS SOFTWARE.
"""
ZERO_BSD = ISC.replace(
    ", provided that the above\ncopyright notice and this permission notice appear in all copies", ""
).replace("Copyright", "Zero-Clause BSD\n\nCopyright")
ZLIB = """\
zlib License

(C) 2024 Ada Example

This software is provided 'as-is', without any express or implied
warranty.  In no event will the authors be held liable for any damages
arising from the use of this software.

Permission is granted to anyone to use this software for any purpose,
including commercial applications, and to alter it and redistribute it
freely, subject to the following restrictions:

1. The origin of this software must not be misrepresented; you must not
   claim that you wrote the original software. If you use this software
   in a product, an acknowledgment in the product documentation would be
   appreciated but is not required.
2. Altered source versions must be plainly marked as such, and must not be
   misrepresented as being the original software.
3. This notice may not be removed or altered from any source distribution.
"""
UPL = """\
Copyright (c) 2024 Ada Example

The Universal Permissive License (UPL), Version 1.0

Subject to the condition set forth below, permission is hereby granted to any
person obtaining a copy of this software, associated documentation and/or data
(collectively the "Software"), free of charge and under any and all copyright
rights in the Software, and any and all patent rights owned or freely
licensable by each licensor hereunder covering either (i) the unmodified
Software as contributed to or provided by such licensor, or (ii) the Larger
Works (as defined below), to deal in both

(a) the Software, and
(b) any piece of software and/or hardware listed in the lrgrwrks.txt file if
one is included with the Software (each a "Larger Work" to which the Software
is contributed by such licensors),

without restriction, including without limitation the rights to copy, create
derivative works of, display, perform, and distribute the Software and make,
use, sell, offer for sale, import, export, have made, and have sold the
Software and the Larger Work(s), and to sublicense the foregoing rights on
either these or other terms.

This license is subject to the following condition:
The above copyright notice and either this complete permission notice or at
a minimum a reference to the UPL must be included in all copies or
substantial portions of the Software.

""" + MIT[MIT.index("THE SOFTWARE IS") :]
BSD_END = """\
THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS"
AND ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE
IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE
FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER
CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY,
OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE
OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
"""


def bsd(*clauses):
    head = """\
Copyright (c) 2024, Ada Example

Redistribution and use in source and binary forms, with or without
modification, are permitted provided that the following conditions are met:

"""
    return head + "".join(f"{number}. {clause}\n\n" for number, clause in enumerate(clauses, 1)) + BSD_END


CLAUSES = (
    "Redistributions of source code must retain the above copyright notice, this list of conditions and the following disclaimer.",
    "Redistributions in binary form must reproduce the above copyright notice, this list of conditions and the following disclaimer in the documentation and/or other materials provided with the distribution.",
    "All advertising materials mentioning features or use of this software must display the following acknowledgement: This product includes software developed by Ada Example.",
    "Neither the name of the copyright holder nor the names of its contributors may be used to endorse or promote products derived from this software without specific prior written permission.",
)
APACHE_NOTICE = """\
Copyright 2024 Ada Example

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    https://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
"""
APACHE = (Path(__file__).parents[3] / "LICENSE").read_text()
TEXTS = {
    "MIT": MIT,
    "ISC": ISC,
    "0BSD": ZERO_BSD,
    "Zlib": ZLIB,
    "UPL-1.0": UPL,
    "Apache-2.0": APACHE,
    "Apache-2.0 (notice)": APACHE_NOTICE,
    "BSD (1)": bsd(CLAUSES[0]),
    "BSD (2)": bsd(*CLAUSES[:2]),
    "BSD (3)": bsd(*CLAUSES[:2], CLAUSES[3]),
    "BSD (4)": bsd(*CLAUSES),
}
OWN_CLAUSES = (
    "The Software may not be used for commercial purposes.",
    '"Commons Clause" License Condition v1.0: the grant of rights will not include the right to Sell the Software.',
    "You may use the Software for good only and not for evil.",
)


def spdx(name):
    return name.split(" ")[0]


@pytest.mark.parametrize("name", TEXTS)
def test_each_licence_is_known_however_it_is_set(name):
    text = TEXTS[name]
    assert licence_in(text) == spdx(name)
    assert licence_in("\n".join(textwrap.wrap(text, 60))) == spdx(name)
    assert licence_in(text.replace("\n", "\r\n").replace('"', "\u201c")) == spdx(name)
    assert licence_in("# " + text.replace("\n", "\n# ")) == spdx(name)
    assert licence_in(f"# The licence of this project\n\n{text}") == spdx(name)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("clause", OWN_CLAUSES)
def test_with_a_clause_of_its_own_it_is_another_licence(name, clause):
    text = TEXTS[name]
    middle = text.index("\n", len(text) // 2)
    assert licence_in(f"{text[:middle]}\n{clause}\n{text[middle:]}") == ""
    assert licence_in(f"{clause}\n\n{text}") == ""
    assert licence_in(f"{text}\n{clause}") == ""


@pytest.mark.parametrize(
    "text",
    ["", "MIT", "GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007", "All rights reserved.", MIT * 2, MIT[:500]],
)
def test_other_texts_are_no_licence_of_the_list(text):
    assert licence_in(text) == ""


@pytest.mark.parametrize(
    ("distribution", "name"), [("pytest", "MIT"), ("platformdirs", "MIT"), ("click", "BSD"), ("pygls", "Apache-2.0")]
)
def test_licences_as_packages_ship_them_are_known(distribution, name):
    files = [file for file in metadata.files(distribution) or () if file.name.upper().startswith("LICENSE")]
    assert name in {licence_in(file.read_text(encoding="utf-8")) for file in files}


# --- the workspace ---


@pytest.mark.parametrize(
    "name",
    [
        "LICENSE", "LICENCE", "license.txt", "License.md", "LICENSE-MIT", "LICENSE.MIT.txt", "LICENSE_APACHE-2.0", "MIT",
        "LICENSE-BSD-3-Clause", "0BSD", "upl.md",
    ],
)  # fmt: skip
def test_files_that_may_hold_the_licence(tmp_path, name):
    (tmp_path / name).write_text(MIT)
    assert LicenceTest().licence_of(str(tmp_path)) == "MIT"


@pytest.mark.parametrize(
    "name", ["COPYING", "LICENSES", "LICENSE.py", "LICENSE-GPL", "README.md", "MIT.md.bak", "sub/LICENSE"]
)
def test_files_that_do_not(tmp_path, name):
    (tmp_path / "sub").mkdir()
    (tmp_path / name).write_text(MIT)
    assert LicenceTest().licence_of(str(tmp_path)) == ""


def test_the_answer_follows_the_files(tmp_path):
    test = LicenceTest()
    assert test.licence_of(str(tmp_path)) == ""
    (tmp_path / "LICENSE").write_text(MIT)
    assert test.licence_of(str(tmp_path)) == "MIT"
    (tmp_path / "LICENSE").write_text("All rights reserved.")
    assert test.licence_of(str(tmp_path)) == ""
    (tmp_path / "LICENSE-ISC").write_text(ISC)
    assert test.licence_of(str(tmp_path)) == "ISC"


def test_what_cannot_be_known_is_not_open_source(tmp_path):
    test = LicenceTest()
    file = tmp_path / "single.py"
    file.write_text(MIT)
    assert test.licence_of(str(file)) == ""
    assert test.licence_of(str(tmp_path / "nowhere")) == ""
    (tmp_path / "LICENSE").mkdir()
    assert test.licence_of(str(tmp_path)) == ""
    (tmp_path / "LICENSE.md").write_bytes(b"\xff" + MIT.encode())
    assert test.licence_of(str(tmp_path)) == ""
    (tmp_path / "LICENSE.md").write_text(MIT + " " * MAX_LICENCE_BYTES)
    assert test.licence_of(str(tmp_path)) == ""
    (tmp_path / "LICENSE.md").unlink()
    (tmp_path / "LICENSE.md").symlink_to(tmp_path / "gone")
    assert test.licence_of(str(tmp_path)) == ""


def test_a_link_to_a_licence_counts(tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "mit").write_text(MIT)
    (tmp_path / "LICENSE").symlink_to(tmp_path / "texts" / "mit")
    assert LicenceTest().licence_of(str(tmp_path)) == "MIT"
