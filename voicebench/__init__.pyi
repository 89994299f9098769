from voicebench.interface.measured_load import MeasuredLevel as MeasuredLevel
from voicebench.interface.measured_load import MeasuredLoad as MeasuredLoad
from voicebench.interface.measured_load import read_load as read_load
from voicebench.interface.measured_run import Judgement as Judgement
from voicebench.interface.measured_run import Run as Run
from voicebench.interface.measured_run import read_run as read_run
from voicebench.interface.measuring_calls import RecordedTurn as RecordedTurn
from voicebench.interface.measuring_calls import measure as measure
from voicebench.interface.measuring_calls import record as record
from voicebench.targets import Target as Target

__version__: str
__all__: list[str]
