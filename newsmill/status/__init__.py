"""What is going on, from Kafka and from the workers' metrics alone.

`look()` takes one picture; `problems()` says what is wrong in it. `newsmill status` shows both.
"""

from newsmill.status.picture import GatewayLine, Picture, StageLine, look
from newsmill.status.problems import Problem, problems

__all__ = ["GatewayLine", "Picture", "Problem", "StageLine", "look", "problems"]
