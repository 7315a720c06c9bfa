"""The scenarios of the top folder travel inside the package; everything else is declared in pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SOURCE, PLACE = Path("scenarios"), Path("gflow", "scenario", "shipped")


class BuildWithScenarios(build_py):
    """Copies them into the built package, where gflow.scenario.shelf finds them; an editable install needs no copy."""

    def run(self) -> None:
        super().run()
        for source, target in self._copies().items():
            self.mkpath(str(Path(target).parent))
            self.copy_file(source, target)

    def get_source_files(self) -> list[str]:
        """So that a source distribution has them, too."""
        return [*super().get_source_files(), *map(str, self._sources())]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), *self._copies().values()]

    def _copies(self) -> dict[str, str]:
        """Source and target of each file."""
        if self.editable_mode:
            return {}
        return {str(path): str(Path(self.build_lib, PLACE, path.relative_to(SOURCE))) for path in self._sources()}

    def _sources(self) -> list[Path]:
        return sorted(path for path in SOURCE.rglob("*") if path.is_file())


setup(cmdclass={"build_py": BuildWithScenarios})
