"""The report: pure functions of what is known, with ``report.json`` as the only source.

:func:`write_report` writes everything; :func:`summary_table` is what a terminal shows. Pictures
are made by :func:`bridge.report.pictures.draw`, which is not imported here because matplotlib
takes its time to load.
"""

from bridge.report.ranking import overall, worst_cases
from bridge.report.schema import CaseReport
from bridge.report.terminal import print_summary, summary_table
from bridge.report.write import folders, report_json, write_report

__all__ = [
    "CaseReport",
    "folders",
    "overall",
    "print_summary",
    "report_json",
    "summary_table",
    "worst_cases",
    "write_report",
]
