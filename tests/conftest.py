"""What all tests share: how hard Hypothesis searches.

`PROVISIONER_EXAMPLES=20 make test` searches twenty times as long as the default, which fits a run
of every commit.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("house", deadline=None, database=None, print_blob=True)
settings.load_profile("house")
