"""HTTP in: one folder for each foreign API, one file for our own."""
