"""CloudFormation, by its API: change sets, the events of one operation, drift."""
