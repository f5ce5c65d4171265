"""A publish's life, one verb a file: accept, expand, deliver, verdict, settle."""
