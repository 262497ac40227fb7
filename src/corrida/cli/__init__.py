"""The command line. Each file holds a noun's options; what they do is imported when it is done."""
