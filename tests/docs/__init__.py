"""What the pages of documentation are read and run by."""
