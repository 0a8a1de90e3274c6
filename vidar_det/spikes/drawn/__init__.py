"""Pictures drawn by our own code: what composed scenes show when no folder of pictures is given."""
