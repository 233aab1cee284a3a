"""Recipes of the application images: what they say, their keys, and where what is built from them is kept.

A recipe is a TOML file: `from` (another recipe, or "busybox" or "debian packages" for the first of all), any number of
[[layer]] tables (packages, files, run: each becomes one layer) and [config], the configuration of the image.
"""
import hashlib
import json
import os
import pathlib
import tomllib

RECIPES = pathlib.Path(__file__).resolve().parent / "recipes"
FORMAT = "1"  # changes when the builder makes other bytes from the same recipe


class RecipeError(Exception):
    """A recipe that cannot be built, or a step that failed."""


class Unavailable(RecipeError):
    """This machine lacks what building needs: nothing is wrong with the recipes."""


def cache_folder():
    base = os.environ.get("RAIND_TESTBED_CACHE")
    if not base:
        base = os.path.join(os.environ.get("XDG_CACHE_HOME") or "/var/cache", "raind-vm")
    return pathlib.Path(base) / "images"


def names():
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def digest_of(*parts):
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


class Step:
    """One layer: its key depends on everything below it."""

    def __init__(self, below, table):
        self.below = below
        self.packages = table.get("packages", [])
        self.files = table.get("files", {})
        self.run = table.get("run", "")
        unknown = set(table) - {"packages", "files", "run"}
        if unknown:
            raise RecipeError(f"a layer has unknown fields: {sorted(unknown)}")
        self.key = digest_of(below.key if below else FORMAT, json.dumps(table, sort_keys=True))


class Recipe:
    def __init__(self, name):
        path = RECIPES / f"{name}.toml"
        if not path.exists():
            raise RecipeError(f"no recipe for {name} (there are: {' '.join(names())})")
        with path.open("rb") as handle:
            self.table = tomllib.load(handle)
        self.name = name
        self.base = self.table["from"]
        self.parent = None if self.base in ("busybox", "packages") else Recipe(self.base)
        self.steps = list(self.parent.steps) if self.parent else []
        for table in self.table.get("layer", []):
            self.steps.append(Step(self.steps[-1] if self.steps else None, table))
        self.config = self.table.get("config", {})
        self.key = digest_of(self.base, self.steps[-1].key if self.steps else FORMAT, json.dumps(self.config, sort_keys=True))

    @property
    def tag(self):
        return f"{self.name}-{self.key}"
