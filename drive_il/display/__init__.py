"""What people see: windows, pictures of a drive, instruments and pages of text."""
