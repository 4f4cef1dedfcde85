"""Feature inversion for any network with named layers; nothing here knows of sound, songs or singing."""
