"""CloudReader → what is live, and, for a plan that changes something, what limits it.

Two looks: the first one before the plan (live.py), the second one only for what the plan changes
(limits.py).
"""

from provisioner.observe.limits import constraints
from provisioner.observe.live import observe, observe_everything, observe_tagged

__all__ = ["constraints", "observe", "observe_everything", "observe_tagged"]
