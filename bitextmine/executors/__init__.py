"""Where tasks run: in this process, in processes of this machine, or on a Ray cluster; the results are the same.

task       Task, Needs, Outcome and the Executor protocol
attempt    one run of a task's function, its errors told apart
local      LocalExecutor: this process, or processes that may be killed
worker     such a process
ray        RayExecutor (needs the extra `ray`; nothing of Ray is imported before)
opened     what tasks keep open from one to the next: encoders, indexes
"""

from bitextmine.executors.local import LocalExecutor
from bitextmine.executors.task import Executor, Needs, Outcome, Task

__all__ = ["Executor", "LocalExecutor", "Needs", "Outcome", "Task"]
