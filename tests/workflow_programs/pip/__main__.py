"""Stands for pip: uv, with the same arguments."""

import os
import sys
from pathlib import Path

uv = str(Path(__file__).with_name("uv"))
os.execv(uv, [uv, "pip", *sys.argv[1:], "--quiet", "--python", sys.executable])
