"""The Django project of the measurements: the template's, with workflows."""
