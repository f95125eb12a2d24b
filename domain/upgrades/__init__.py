"""Changing the version of an install, and holding or ending it: what changes an install together with its schedules."""
