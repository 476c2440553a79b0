"""What an environment serves, as files for another engine: for teams that outgrow these machines.

`facts` finds out what serves, `compose` and `kubernetes` write it down in terms that have nothing of Podium's own.
"""
