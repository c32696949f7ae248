"""What a worker prints, logs and warns of, shown by the caller's process: on its stdout, by its handlers, as its warnings.

A notebook shows what the caller's ``sys.stdout`` gets, not what a child process writes to the terminal's descriptor; and the
caller's logging levels and handlers are the ones that its user has set.
"""

from .forwarding import Forwarding, show
from .streams import Look, look_of

__all__ = ["Forwarding", "Look", "look_of", "show"]
