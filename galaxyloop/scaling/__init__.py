"""How held-out error falls with labelled galaxies and with the encoder: cells, laws, gains."""
