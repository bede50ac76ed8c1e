"""Where the boxes and edges of a picture lie: in layers, from the state down."""
