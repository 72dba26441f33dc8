"""keras-bridge: a differential debugger for Keras-for-R."""
