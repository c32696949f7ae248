"""The site: `hatch run docs:build` makes docs/_build/html of the Markdown pages here and of the packages' docstrings."""

from importlib import metadata

project = "just-distribute"
author = "just-distribute contributors"
release = version = metadata.version("just-distribute")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]

# Notebooks are executed by the tests, and shown here with the output that is saved in them.
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"just-distribute {release}"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the stubs are what a type checker sees; docstrings say the rest in words
add_module_names = False
napoleon_numpy_docstring = False

# Every reference leads somewhere. Docstrings name standard classes in plain words, so there is no inventory to fetch.
nitpicky = False
suppress_warnings = ["myst.xref_missing"]  # links to files outside docs/ are checked by tests/readme
