"""Settings that every test shares."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Never judged by time: the machines that run this differ. In CI the same examples every run, so
# that a failure there is a change's own.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, print_blob=True)
settings.register_profile("thorough", settings.get_profile("local"), max_examples=3000)
settings.load_profile("ci" if os.environ.get("CI") else "local")
