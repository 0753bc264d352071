"""Fetches a model from a Hugging Face hub: chooses the file, downloads it aside, and takes it in when it is
right.

A model is taken in only after its SHA-256 equals the one the hub states for it (or the one given), so an
interrupted or altered download is never seen as a model. ``HF_ENDPOINT`` names another hub.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from daemon import paths, registry
from daemon.errors import PullFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from huggingface_hub.hf_api import RepoSibling

STAGING = ".pulling"  # in the models directory, so that taking in is a rename
SHA256 = re.compile(r"[0-9a-f]{64}")


def pull(
    repository: str,
    file: str = "",
    *,
    name: str = "",
    revision: str = "",
    sha256: str = "",
    step: Callable[[str], None] = lambda _what: None,
) -> registry.KnownModel:
    """Download one GGUF and register it; raises PullFailed with cause and cure.

    ``step`` is told what is being done; the bytes themselves huggingface_hub shows on standard error.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when the library is imported
    from huggingface_hub import HfApi, hf_hub_download  # noqa: PLC0415 (slow, and only needed here)

    with _explained(repository):
        found = HfApi().model_info(repository, revision=revision or None, files_metadata=True)
    chosen = _choose(repository, list(found.siblings or []), file)
    model_name = _name(name or chosen.rfilename.rsplit("/", 1)[-1].removesuffix(".gguf"))
    wanted = _checksum_to_expect(chosen, sha256)
    staging = paths.models_directory() / STAGING / model_name
    staging.mkdir(parents=True, exist_ok=True)
    try:
        step(f"downloading {chosen.rfilename}")
        with _explained(repository):
            downloaded = hf_hub_download(repository, chosen.rfilename, revision=found.sha, local_dir=staging)
        path = staging / chosen.rfilename
        step("checking its SHA-256")
        found_sum = registry.checksum(path)
        if found_sum != wanted:
            raise PullFailed(
                f"{downloaded} is not what {repository} says it is:"
                f" its SHA-256 is {found_sum}, not {wanted}; "
                "it was thrown away; pull again, and if that does not help, do not trust this source"
            )
        manifest = registry.Manifest(
            model_name, repository, chosen.rfilename, found.sha or "", wanted, path.stat().st_size
        )
        return _take_in(path, manifest)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _choose(repository: str, siblings: list[RepoSibling], file: str) -> RepoSibling:
    models = [sibling for sibling in siblings if sibling.rfilename.endswith(".gguf")]
    if file:
        models = [sibling for sibling in models if sibling.rfilename == file] or models
        if len(models) != 1 or models[0].rfilename != file:
            raise PullFailed(f"{repository} has no file {file}; it has: {_listed(models)}")
    if not models:
        raise PullFailed(f"{repository} holds no GGUF file; look for a repository whose name ends in -GGUF")
    if len(models) > 1:
        raise PullFailed(f"{repository} holds several models; name one with --file: {_listed(models)}")
    return models[0]


def _listed(siblings: list[RepoSibling]) -> str:
    return ", ".join(sorted(sibling.rfilename for sibling in siblings)) or "no GGUF at all"


def _name(name: str) -> str:
    if not registry.NAME.fullmatch(name) or name == registry.EMBEDDED:
        raise PullFailed(f"{name!r} cannot be a model's name; give another with --name (letters, digits, . _ -)")
    return name


def _checksum_to_expect(chosen: RepoSibling, given: str) -> str:
    stated = chosen.lfs.sha256 if chosen.lfs else ""
    wanted = (given or stated).lower()
    if not SHA256.fullmatch(wanted):
        raise PullFailed(
            f"the hub states no SHA-256 for {chosen.rfilename}; give the one you expect with --sha256 (64 hex digits)"
        )
    return wanted


def _take_in(path: Path, manifest: registry.Manifest) -> registry.KnownModel:
    """File first, manifest last: without its manifest the file is not a model."""
    target = paths.models_directory() / f"{manifest.name}.gguf"
    target.with_suffix(".json").unlink(missing_ok=True)
    path.replace(target)
    fresh = path.with_name(f"{manifest.name}.json")
    fresh.write_text(json.dumps(manifest.to_json(), indent=2) + "\n", encoding="utf-8")
    fresh.replace(target.with_suffix(".json"))
    return registry.KnownModel(manifest.name, target, manifest)


@contextmanager
def _explained(repository: str) -> Iterator[None]:
    """What the library raises, as one error with a cure."""
    from huggingface_hub import errors  # noqa: PLC0415

    # Which HTTP library it is built on changes with its version; its own error derives from that library's.
    bases: tuple[type, ...] = errors.HfHubHTTPError.__bases__
    failures: tuple[type[Exception], ...] = tuple(base for base in bases if issubclass(base, Exception))
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        yield
    except errors.GatedRepoError as error:
        raise PullFailed(
            f"{repository} is gated; accept its terms on {endpoint} and log in with `hf auth login`"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise PullFailed(f"{endpoint} has no model repository {repository}, or it is private") from error
    except errors.RevisionNotFoundError as error:
        raise PullFailed(f"{repository} has no such revision") from error
    except errors.HFValidationError as error:
        raise PullFailed(f"{repository!r} is not a repository's name; it looks like OWNER/NAME") from error
    except failures as error:
        raise PullFailed(
            f"the download from {endpoint} failed ({error}); check the connection and pull again"
        ) from error
