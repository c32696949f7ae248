"""What a worker prints, logs and warns of, shown by the caller's process: on its stdout, by its handlers, as its warnings.

A notebook shows what is written to the caller's ``sys.stdout``, not what a child process writes to the terminal's
descriptor; and the user has set levels and handlers of logging in the caller.
"""

from .forwarding import Forwarding, show
from .streams import Look, look_of

__all__ = ["Forwarding", "Look", "look_of", "show"]
