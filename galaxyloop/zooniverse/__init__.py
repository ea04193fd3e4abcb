"""The way to Zooniverse's volunteers: which galaxies are asked about, as a set of subjects."""
