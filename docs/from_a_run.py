"""Take what the five articles show from a run of their cases: the claims, and a picture of each.

``keras-bridge run CASES`` first; then ``python docs/from_a_run.py [REPORTS]`` writes
``explanation/cases.json`` and the pictures.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
#: The cases that have an article, and the title of the picture that it shows; "" for the curves.
PICTURES: Final = {
    "relu_middle_dense": "",
    "activations_everywhere": "The collapse into one affine map",
    "relu_gradient_at_zero": "Loss curves for three derivatives at 0",
    "relu_last_layer": "The losses and the floor of a sigmoid",
    "abs_two_relus": "Success by the number of units",
}


def main(reports: Path) -> None:
    """Write the claims of every case, and its picture."""
    cases = {}
    for case, title in PICTURES.items():
        report = json.loads((reports / case / "report.json").read_text("utf-8"))
        shown = next(
            each
            for each in report["pictures"]
            if (each["title"] == title if title else each["kind"] == "overlay")
        )
        shutil.copy(reports / case / shown["file"], HERE / f"pictures/{case}.svg")
        claims = [
            {key: claim[key] for key in ("claim", "said_by", "verdict", "evidence")}
            for claim in report["claims"]
        ]
        cases[case] = {"alt": shown["alt"], "claims": claims}
    text = json.dumps(cases, indent=1, ensure_ascii=False)
    (HERE / "explanation/cases.json").write_text(f"{text}\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "reports"))
