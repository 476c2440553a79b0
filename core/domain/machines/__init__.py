"""Other machines that steps run on."""
