"""The host's end of the wire, over any pipe: an interpreter that is started, kept, and replaced when it dies."""

from .absent import Absent as Absent
from .interpreter import Interpreter as Interpreter
from .interpreter import Snapshot as Snapshot
from .job import Asked as Asked
from .job import Door as Door
from .job import Following as Following
