"""The report: pure functions of what is known, with ``report.json`` as the only source.

:func:`write_report` writes everything; :func:`print_case` and
:func:`print_suite` are what a terminal shows. Pictures
are made by :func:`bridge.report.pictures.draw`, which is not imported here because matplotlib
takes its time to load.
"""

from bridge.report.ranking import overall, worst_cases
from bridge.report.schema import CaseReport
from bridge.report.terminal import print_case, print_suite
from bridge.report.write import earlier, folders, report_json, write_report

__all__ = [
    "CaseReport",
    "earlier",
    "folders",
    "overall",
    "print_case",
    "print_suite",
    "report_json",
    "worst_cases",
    "write_report",
]
