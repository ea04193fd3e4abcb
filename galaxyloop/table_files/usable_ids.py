"""What is no id, in any kind of table."""

import re

MISSING_IDS = frozenset({"", "nan", "none", "null", "<na>"})
"""What tables write where an id is missing; compare without spaces around and case-folded."""

CONTROL_CHARACTER = re.compile("[\\x00-\\x1f\\x7f-\\x9f\u2028\u2029\ufeff]")
"""Line ends, tabs, NUL and the like: no name holds them on purpose, and they break file names."""
