"""Arrays in, numbers out: what replicates tell and how far they can be trusted.

Nothing here knows of training or of files. A missing value (NaN) stands for a replicate that has no
value; it is left out and the number of the others is returned with every result.

What `runner.summary` has comes with the package and needs scipy's special functions only. The
modules here import the statistics of scipy and statsmodels, which takes a second: a report needs
them, a sweep that is starting does not.
"""
