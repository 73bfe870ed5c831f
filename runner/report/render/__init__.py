"""How answers look: on a terminal, in Markdown, LaTeX and HTML, and as figures."""
