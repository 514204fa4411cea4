#!/usr/bin/env python
"""Django's command line, for your machine: `python manage.py runserver`."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "greetings.settings")
    os.environ.setdefault("SECRET_KEY", "for this machine alone")
    os.environ.setdefault("DEBUG", "1")
    execute_from_command_line(sys.argv)
