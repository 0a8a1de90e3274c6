"""What goes between: the spiking detector, from counts to detections."""
