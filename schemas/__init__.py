"""Every typed boundary: pandera tables, and the artefacts that wrap a directory."""
