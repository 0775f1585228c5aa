"""Checks the user's own code that training settings name, before a study begins."""

from __future__ import annotations

from searchlab.config.named_code import settings_with_code
from searchlab.config.study import StudySpec
from searchlab.errors import InputError

__all__ = ["check_code"]


def check_code(spec: StudySpec, *, num_classes: int) -> None:
    """Make each optimizer, loss and step that a study names: no trial is to be the first.

    Raises InputError, at the place in the study, if one cannot be found or used. The study's
    plugins must be loaded.
    """
    for place, settings in settings_with_code(spec):
        from searchlab.training.code_check import try_code  # torch, which few studies need here

        try:
            try_code(settings, num_classes=num_classes)
        except InputError as error:
            if isinstance(error.where, str):
                raise
            field = error.where[-1]  # perhaps another one of these settings
            raise error.at((*place[:-1], field)) from error
