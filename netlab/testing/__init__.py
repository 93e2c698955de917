"""Labs as pytest fixtures: `lab_fixture` makes one of a topology file. The plugin itself is `netlab.pytest_plugin`."""

from netlab.testing.factory import LabFactory, lab_fixture

__all__ = ["LabFactory", "lab_fixture"]
