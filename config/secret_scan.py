"""No secret in a committed file: what looks like one is either none, and listed, or an error.

python -m config.secret_scan            writes .secrets.baseline: run it once you know that nothing it lists is a secret
python -m config.secret_scan --check    fails if a file holds what looks like a secret and is not listed

What looks like one is for detect-secrets to say: private keys, tokens of known services, JWTs, addresses with a
password, assignments to names such as `password`, and texts of high entropy. The list names files and SHA-1 hashes of
the findings, no line numbers: a file may grow above them.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import default_settings

ROOT = Path(__file__).resolve().parent.parent
BASELINE = ".secrets.baseline"
_MADE = frozenset({"var", "__pycache__"})

Findings = dict[str, dict[str, str]]
"""By file, the type of each finding by its hash."""


def scan(files: Iterable[str], root: Path) -> Findings:
    """What looks like a secret in these files below `root`."""
    found = SecretsCollection(root=str(root))
    with default_settings():
        found.scan_files(*files)
    by_file: Findings = {}
    for name, secret in found:
        by_file.setdefault(name, {})[secret.secret_hash] = secret.type
    return by_file


def unlisted(found: Findings, listed: Findings) -> Iterator[str]:
    """A sentence for each finding that the list has not."""
    for name, findings in sorted(found.items()):
        for hash_, kind in sorted(findings.items()):
            if hash_ not in listed.get(name, {}):
                yield f"{name}: {kind}"


def committed() -> list[str]:
    """The files that git knows, but the list itself; in a copy without git, all that stand in no hidden folder."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S607
        names = listed.stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        names = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*"))
        names = [name for name in names if not any(part.startswith(".") or part in _MADE for part in name.split("/"))]
    return [name for name in names if name and name != BASELINE and (ROOT / name).is_file()]


def main(arguments: list[str]) -> int:
    found = scan(committed(), ROOT)
    baseline = ROOT / BASELINE
    if "--check" not in arguments:
        baseline.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
        return 0
    complaints = list(unlisted(found, json.loads(baseline.read_text())))
    for complaint in complaints:
        sys.stderr.write(f"{complaint}\n")
    if complaints:
        sys.stderr.write(
            "If it is a secret: change it, then take it out. If it is none: python -m config.secret_scan\n"
        )
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
