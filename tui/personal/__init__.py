"""What the cockpit keeps for a person, and reads of theirs: state in `$XDG_STATE_HOME/podium`, settings in
`$XDG_CONFIG_HOME/podium`."""
