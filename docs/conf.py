"""How Sphinx builds the site; ``docs/build.py`` calls it."""

from __future__ import annotations

project = "keras-bridge"
author = "the authors of keras-bridge"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 4
# Names of rules and files are written as they are typed.
smartquotes = False
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"

html_theme = "furo"
html_title = "keras-bridge"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
