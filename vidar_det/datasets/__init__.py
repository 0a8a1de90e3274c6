"""Labelled light and recordings come in, spike datasets on disk go out, and labelled windows."""
