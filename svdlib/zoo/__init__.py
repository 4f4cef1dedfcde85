"""The register of what can be asked for by name, and the trained weights that come with the package."""
