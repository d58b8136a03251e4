"""Renders every overlay and job, and checks what comes out with the tools of tools.txt; no cluster is asked.

Run by `make manifests`, with the Python of .venv-manifests. Exit code 1 where a tool finds anything that no
comment or annotation in the files excuses with a reason.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from kubernetes_validate import utils

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BIN = Path(sys.executable).parent
# What `kubectl apply -k` is meant for; the rest is what these are made of.
JOBS = ("predict", "publish", "refresh", "train")
TARGETS = (*sorted(HERE.glob("overlays/*")), *(HERE / "jobs" / name for name in JOBS))
NEWEST = 3


def run(program: str, *arguments: str | Path) -> str:
    """Runs a tool and returns what it printed; where it fails, prints that and ends."""
    done = subprocess.run([BIN / program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        sys.exit(f"{program} {' '.join(map(str, arguments))}: failed")
    return done.stdout


def newest_versions() -> list[str]:
    """The newest versions of Kubernetes that kubernetes-validate has schemas of, oldest first."""
    known = {tuple(map(int, version.split("."))) for version in utils.all_versions()}
    return [".".join(map(str, version)) for version in sorted(known)[-NEWEST:]]


def main() -> None:
    """Checks everything."""
    versions = newest_versions()
    with tempfile.TemporaryDirectory() as folder:
        rendered = []
        for target in TARGETS:
            path = Path(folder) / f"{target.parent.name}-{target.name}.yaml"
            path.write_text(run("kubectl", "kustomize", target), encoding="utf-8")
            rendered.append(path)
        for version in versions:
            run("kubernetes-validate", "--strict", "--quiet", "--kubernetes-version", version, *rendered)
        files = [part for path in rendered for part in ("--file", str(path))]
        quietly = ("--compact", "--quiet", "--skip-download")
        run("checkov", *files, "--framework", "kubernetes", *quietly)
    run("hadolint", "Dockerfile.serving")
    run("checkov", "--file", "Dockerfile.serving", "--framework", "dockerfile", *quietly)
    print(f"{len(TARGETS)} renderings and Dockerfile.serving pass, for Kubernetes {', '.join(versions)}")


if __name__ == "__main__":
    main()
