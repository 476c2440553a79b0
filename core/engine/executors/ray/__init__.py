"""Steps as jobs of a Ray cluster, over its Jobs REST API. Nothing of Ray is installed here: what runs on a node is a
program of a hundred lines (`remote.py`), sent along with the job."""
