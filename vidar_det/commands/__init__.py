"""One file per job of the command line: settings come in, files and figures go out."""
