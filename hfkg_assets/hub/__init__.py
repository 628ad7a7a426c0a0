"""Raw observations: what the Hub answered on a snapshot's day, one asset per kind of answer."""
