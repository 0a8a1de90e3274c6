"""From a Vidar spike-camera recording to detected objects."""
