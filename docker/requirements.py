"""Prints what bitextmine with these extras needs: the images install it before, and apart from, bitextmine itself."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
needed = [*project["dependencies"], *(line for extra in sys.argv[1:] for line in extras[extra])]
sys.stdout.writelines(f"{line}\n" for line in needed)
