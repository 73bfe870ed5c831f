"""Arrays in, numbers out: what replicates tell and how far they can be trusted.

Nothing here knows of training or of files. A missing value (NaN) stands for a replicate that has no
value; it is left out and the number of the others is returned with every result.

What `runner.summary` has comes with the package and needs scipy's special functions only. So do the
modules here where they can: scipy's statistics take a second to import, which only those pay who
need them.
"""
