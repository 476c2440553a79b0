"""How clients reach an environment, and who may change it."""
